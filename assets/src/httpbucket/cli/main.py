"""``http-bucket``: finds the verb, and tells how it ended."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence

import httpbucket
from httpbucket.cli import (
    collect,
    expire,
    reindex,
    scrub,
    serve,
    stats,
    take_over,
    why,
)
from httpbucket.cli.outcome import FAILED, INTERRUPTED, MISTAKEN
from httpbucket.domain.errors import BucketError, InvalidDigest, InvalidSettings

_VERBS = (serve, expire, collect, scrub, reindex, stats, why, take_over)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; `httpbucket.cli.outcome` has what the exit status means."""
    options = _parser().parse_args(arguments)
    _write_any_name()
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except InvalidSettings as error:
        print(*error.mistakes, sep="\n", file=sys.stderr)
        return MISTAKEN
    except InvalidDigest as error:
        print(error, file=sys.stderr)
        return MISTAKEN
    except BucketError as error:
        print(error, file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        # Who reads has seen enough. Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="http-bucket", description="A content-addressed artifact store over HTTP."
    )
    parser.add_argument(
        "--version", action="version", version=f"http-bucket {httpbucket.__version__}"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for module in _VERBS:
        verb = module.add_to(verbs)
        verb.set_defaults(run=module.run)
    return parser


def _write_any_name() -> None:
    """A name may hold what was never UTF-8."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
