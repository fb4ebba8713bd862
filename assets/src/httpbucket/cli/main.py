"""``http-bucket``: the verbs of the command line."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

import httpbucket
from httpbucket.config import Settings
from httpbucket.domain.errors import BucketError, InvalidSettings

_MISTAKEN = 2
_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; the exit status is 2 for mistakes in the call or the settings, 1 for failure."""
    parser = argparse.ArgumentParser(
        prog="http-bucket", description="A content-addressed artifact store over HTTP."
    )
    parser.add_argument(
        "--version", action="version", version=f"http-bucket {httpbucket.__version__}"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser(
        "serve",
        help="start the server",
        description="Start the server; settings come from the environment.",
    )
    parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    try:
        return _serve()
    except InvalidSettings as error:
        print(*error.mistakes, sep="\n", file=sys.stderr)
        return _MISTAKEN
    except BucketError as error:
        print(error, file=sys.stderr)
        return _FAILED


def _serve() -> int:
    settings = Settings.from_environ(os.environ)
    # Loads gunicorn, which the other verbs do without.
    from httpbucket.server.serve import serve  # noqa: PLC0415

    _greet(settings)
    serve(settings)
    return 0


def _greet(settings: Settings) -> None:
    everywhere = settings.host in {"0.0.0.0", "::"}
    host = "localhost" if everywhere or settings.host == "127.0.0.1" else settings.host
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.ports[0]}"
    print(f"http-bucket {httpbucket.__version__} on {url}, files in {settings.archive_dir}")
    if settings.host == "127.0.0.1":
        print("It answers this machine alone; start it with HOST=0.0.0.0 to open it to others.")
    print(f"Try it:  curl -F file=@README.md {url}/upload", flush=True)
