"""Programs that tests compare us with; a missing one skips the test, but fails it in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

_PACKAGES = {
    "7z": "p7zip-full",
    "bsdtar": "libarchive-tools",
    "xz": "xz-utils",
}


def require_tool(name: str) -> str:
    """The path of a program; without it the test is skipped, or fails when ``CI`` is ``true``."""
    found = shutil.which(name)
    if found:
        return found
    reason = f"{name} is not installed: apt-get install {_PACKAGES.get(name, name)}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def run_tool(name: str, *arguments: str, cwd: Path, expected: Sequence[int] = (0,)) -> bytes:
    """What a program prints, run in a UTF-8 locale; fails when it exits with another status."""
    finished = subprocess.run(
        [require_tool(name), *arguments],
        cwd=cwd,
        check=False,
        capture_output=True,
        env=os.environ | {"LC_ALL": "C.UTF-8", "TZ": "UTC"},
    )
    assert finished.returncode in expected, finished.stderr.decode(errors="replace")
    return finished.stdout
