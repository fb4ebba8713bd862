"""A disk whose Nth call fails, to walk through every point at which an upload can break."""

from __future__ import annotations

import os
import signal
from collections.abc import Container
from pathlib import Path

from httpbucket.storage.local.disk import Disk


class FaultyDisk(Disk):
    """Fails the call with the number it is armed with (from 0), or all calls.

    Only the calls that reach the system are counted; ``calls`` names them in order.
    """

    def __init__(self, *, fsync: bool = True) -> None:
        super().__init__(fsync=fsync)
        self.calls: list[str] = []
        self._failing: Container[int] = ()
        self._error = 0

    def arm(self, failing: int, error: int) -> None:
        """Count from 0 on again, and fail the call with this number."""
        self.calls, self._failing, self._error = [], {failing}, error

    def fail_from(self, first: int, error: int) -> None:
        """Count from 0 on again, and fail every call from this number on."""
        self.calls, self._failing, self._error = [], range(first, 10**9), error

    def fail_from_now_on(self, error: int) -> None:
        """Fail every call."""
        self.calls, self._failing, self._error = [], range(10**9), error

    def disarm(self) -> None:
        """Work as any other disk."""
        self._failing = ()

    @property
    def has_failed(self) -> bool:
        """Whether the call that was to fail was made."""
        return any(number in self._failing for number in range(len(self.calls)))

    def write(self, descriptor: int, piece: bytes | bytearray | memoryview) -> None:
        # As a disk that fills up does: the first half is written still.
        with memoryview(piece) as view:
            half = len(view) // 2
            super().write(descriptor, view[:half])
            self._count("write")
            super().write(descriptor, view[half:])

    def allocate(self, descriptor: int, size: int) -> bool:
        self._count("allocate")
        return super().allocate(descriptor, size)

    def trim(self, descriptor: int, size: int) -> None:
        self._count("trim")
        super().trim(descriptor, size)

    def sync_file(self, descriptor: int) -> None:
        self._count("sync_file")
        super().sync_file(descriptor)

    def sync_directory(self, path: Path | str) -> None:
        self._count("sync_directory")
        super().sync_directory(path)

    def sync_everything(self, path: Path) -> None:
        self._count("sync_everything")
        super().sync_everything(path)

    def make_directory(self, path: Path | str, mode: int, *, keeps_modes: bool = False) -> None:
        self._count("make_directory")
        super().make_directory(path, mode, keeps_modes=keeps_modes)

    def link(self, source: Path | str, target: Path | str, *, directory: int | None = None) -> None:
        self._count("link")
        super().link(source, target, directory=directory)

    def link_descriptor(self, descriptor: int, target: Path | str) -> None:
        self._count("link_descriptor")
        super().link_descriptor(descriptor, target)

    def rename(
        self, source: Path | str, target: Path | str, *, directory: int | None = None
    ) -> None:
        self._count("rename")
        super().rename(source, target, directory=directory)

    def unlink(self, path: Path | str, *, directory: int | None = None) -> None:
        self._count("unlink")
        super().unlink(path, directory=directory)

    def rename_out(self, name: str, target: Path, *, directory: int) -> None:
        self._count("rename_out")
        super().rename_out(name, target, directory=directory)

    def _count(self, call: str) -> None:
        self.calls.append(call)
        if len(self.calls) - 1 in self._failing:
            raise OSError(self._error, os.strerror(self._error))


class MortalDisk(FaultyDisk):
    """Its process is killed at the call that would fail."""

    def _count(self, call: str) -> None:
        self.calls.append(call)
        if len(self.calls) - 1 in self._failing:
            os.kill(os.getpid(), signal.SIGKILL)
