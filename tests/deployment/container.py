"""The container's entry, run without a container, with a program that tells what it was given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.dockerfile import IMAGE, on_this_machine
from tests.deployment.loading import load

SERVICE: int = load("entry").SERVICE

#: Where the packages lie that the tests themselves run with.
PACKAGES = sysconfig.get_path("purelib")

#: Takes the place of http-bucket: prints who it is, and tries to become root again.
_TELLING = """
import json, os, sys
def can_become_root():
    try:
        os.setuid(0)
    except PermissionError:
        return False
    return True
print(json.dumps({
    "arguments": sys.argv[1:],
    "users": os.getresuid(),
    "groups": [*os.getresgid(), *os.getgroups()],
    "environ": dict(os.environ),
    "is_root_for_good": can_become_root(),
}))
"""


@dataclass(frozen=True)
class Told:
    """What http-bucket was given by the entry, and what the entry said before."""

    given: dict[str, Any]
    said: str

    @property
    def user(self) -> int:
        (user,) = set(self.given["users"])
        return int(user)


class Container:
    """Runs the image's entry on files of this machine."""

    def __init__(self, directory: Path) -> None:
        self.python = python_for_everybody()
        self.store = directory / "store"
        self._app = directory / "app"
        package = self._app / "httpbucket"
        package.mkdir(parents=True)
        # A package of its own: a namespace would give way to an http-bucket that is installed.
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(_TELLING)

    def run(self, *, user: int | None = None, wrap: Sequence[str] = (), **environ: str) -> Told:
        """Start it, by ``docker run --user`` as another one than root."""
        finished = self.start(user=user, wrap=wrap, **environ)
        assert finished.returncode == 0, finished.stderr
        return Told(json.loads(finished.stdout), finished.stderr)

    def start(
        self, *, user: int | None = None, wrap: Sequence[str] = (), **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """The same, where it may fail. ``wrap`` is a command that runs the entry."""
        settings = {"ARCHIVE_DIR": str(self.store), "PORT": "80,5000"} | environ
        entry = on_this_machine(IMAGE.command("ENTRYPOINT"), self.python)
        return subprocess.run(
            [*wrap, *entry, *IMAGE.command("CMD")],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(self._app), **settings},
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )


def python_for_everybody(needed: str = "") -> str:
    """A Python that the service user may run; skips the test where there is none.

    ``needed`` are modules that it can import, from this Python's packages. A virtual environment in
    root's home is closed to others; the system's Python may do in its place.
    """
    version = f"sys.version_info[:2] != {sys.version_info[:2]}"
    code = f"import sys; sys.path.append({PACKAGES!r}); {needed and f'import {needed}'}"
    for python in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        if Path(python).exists() and _runs([python, "-c", f"{code}\nsys.exit({version})"]):
            return python
    pytest.skip(f"no Python here that other users may run {needed and f'with {needed}'}")


def _runs(command: list[str]) -> bool:
    service = SERVICE if os.geteuid() == 0 else None
    try:
        finished = subprocess.run(
            command, user=service, group=service, check=False, capture_output=True, cwd="/"
        )
    except PermissionError:
        return False
    return finished.returncode == 0
