"""Packages of npm for tests, in a cache that git passes over."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.tools import require_tool, skip_unless_ci

_CACHE = Path(__file__).parents[1] / "build" / "npm"
_SECONDS = 120


def require_npm_package(name: str, version: str) -> Path:
    """The directory of a package, which is fetched once; ``node_modules`` is the one above.

    Without npm or a registry the test is skipped, or fails when ``CI`` is ``true``.
    """
    npm = require_tool("npm")
    place = _CACHE / f"{name}-{version}"
    package = place / "node_modules" / name
    if not _is_there(package, version):
        place.mkdir(parents=True, exist_ok=True)
        quiet = ("--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
        command = (npm, "install", *quiet, "--prefix", str(place), f"{name}@{version}")
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_SECONDS
        )
        if done.returncode != 0:
            skip_unless_ci(f"npm has no {name}@{version} for us: {done.stderr.strip()[-500:]}")
    assert _is_there(package, version)
    return package


def _is_there(package: Path, version: str) -> bool:
    try:
        return bool(json.loads((package / "package.json").read_text())["version"] == version)
    except FileNotFoundError:
        return False
