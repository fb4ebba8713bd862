"""The gunicorn whose inner parts we build upon; under another one we stay with what it offers."""

from __future__ import annotations

import gunicorn

#: What every differential test here was run with. Add to it when they pass with another.
TESTED_VERSIONS = frozenset({"27.0.1"})


def untested_version() -> str | None:
    """The version that runs, when it is none of the tested ones."""
    version: str = gunicorn.__version__
    return None if version in TESTED_VERSIONS else version
