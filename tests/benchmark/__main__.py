"""``make benchmark``: how long what we do takes, beside what it could take at least."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from tests.benchmark import ask, trees, unpack


def main() -> None:
    """Run every benchmark and print what it found."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each, medians are shown")
    parser.add_argument("--directory", type=Path, help="where to work; on the disk that counts")
    options = parser.parse_args()
    # Servers of tests print their log at their end.
    quiet = redirect_stdout(StringIO())
    with quiet, tempfile.TemporaryDirectory(dir=options.directory) as directory:
        found = [
            unpack.benchmark(Path(directory), rounds=options.rounds),
            ask.benchmark(Path(directory) / "ask", rounds=options.rounds),
            trees.benchmark(Path(directory) / "trees", rounds=options.rounds),
        ]
    print("\n\n".join(found))


main()
