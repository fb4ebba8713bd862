"""Servers whose store is a mount of their own, looked at and changed from outside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.live.abilities import command_with_own_mounts
from tests.live.conftest import ServerFactory
from tests.live.server import SERVE, LiveServer
from tests.tools import require_tool


class MountedServer(LiveServer):
    """Serves a tmpfs that only it and its workers see; it is gone when the server is."""

    @property
    def root(self) -> Path:
        """The store, as seen from here."""
        return Path(f"/proc/{self.pid}/root{self.archive}")

    def remount(self, options: str) -> None:
        """Change how the store is mounted (mount(8))."""
        nsenter = require_tool("nsenter", package="util-linux")
        enter = [nsenter, f"--target={self.pid}", "--user", "--mount", "--preserve-credentials"]
        mount = ["mount", "-o", f"remount,{options}", str(self.archive)]
        subprocess.run([*enter, *mount], check=True, capture_output=True)

    def fill(self, *, leave: int = 0) -> Path:
        """Take all bytes but so many by a file of somebody else; it is to be removed."""
        path = self.root / "of-somebody-else"
        with path.open("wb") as file:
            status = os.statvfs(path)
            os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - leave)
        return path

    def staged(self) -> list[str]:
        """What lies in staging besides the directories of living processes."""
        staging = self.root / "private" / "staging"
        return [str(path) for path in staging.glob("*/*")]


def mounted_server(
    servers: ServerFactory, options: str, *, before: str = "true", **settings: str
) -> MountedServer:
    """A server, not started, on a new tmpfs; ``before`` is a shell line that runs ahead of it."""
    directory = servers.directory / "mounted"
    (directory / "archive").mkdir(parents=True)
    mount = f"mount -t tmpfs -o {options} none {directory / 'archive'}; {before}"
    command = command_with_own_mounts(mount, SERVE)
    return MountedServer(directory, command=command, **settings)  # type: ignore[arg-type]
