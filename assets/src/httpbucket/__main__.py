"""``python -m httpbucket``."""

import sys

from httpbucket.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
