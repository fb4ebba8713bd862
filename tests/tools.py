"""Programs that tests talk to; a missing one skips the test, but fails it in CI."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def require_tool(name: str, *, package: str | None = None) -> str:
    """The path of a program; without it the test is skipped, or fails when ``CI`` is ``true``.

    ``package`` is the Debian package that brings it, where its name is another.
    """
    found = shutil.which(name)
    if found:
        return found
    skip_unless_ci(f"{name} is not installed: apt-get install {package or name}")


def skip_unless_ci(reason: str) -> NoReturn:
    """Skip the test for what could be installed, or fail it when ``CI`` is ``true``."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
