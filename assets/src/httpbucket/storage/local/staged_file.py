"""A file on its way in: in memory while it is small, else on the disk, with a name or without."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import BLOB_MODE
from httpbucket.storage.local.past_cache import LARGE_BYTES, DirectWriter, PastCache
from httpbucket.storage.local.room import Share


class LocalStagedFile:
    """Bytes in memory, a file without a name (``path`` None), or one whose name nobody else knows.

    ``begin`` makes the file when it is needed, unless there is one, by descriptor and path; up to
    ``in_memory`` bytes it is not needed before `seal_as`. If ``large`` bytes are announced, it is
    written past the page cache if ``past_cache`` is given.
    """

    def __init__(
        self,
        disk: Disk,
        share: Share,
        begin: Callable[[], tuple[int, str | None]],
        unused_path: Callable[[], str],
        *,
        file: tuple[int, str] | None,
        in_memory: int,
        past_cache: PastCache | None = None,
        large: int = LARGE_BYTES,
    ) -> None:
        self._disk = disk
        self._past_cache = past_cache
        self._large = large
        self._direct: DirectWriter | None = None
        self._unused_path = unused_path
        self._in_memory = in_memory
        self._share = share
        self._begin = begin
        self._path: str | None
        self._descriptor, self._path = file or (-1, None)
        self._small = None if file else bytearray()
        self._is_sealed = False
        self._allocated = self._expected = 0
        self.size = 0

    def expect(self, size: int) -> None:
        """Set room for ``size`` bytes aside."""
        self._share.expect(size, self._allocate)
        self._expected = size

    def _allocate(self, size: int) -> bool:
        self._allocated = size if self._disk.allocate(self._opened(), size) else 0
        return self._allocated > 0

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        if self._small is not None and len(self._small) + len(piece) <= self._in_memory:
            self._small += piece
        else:
            with told_as_refusals():
                self._append(self._opened(), piece)
        self.size += len(piece)

    def _append(self, descriptor: int, piece: bytes | bytearray | memoryview) -> None:
        self._share.take(len(piece))
        if self._past_cache and self._expected >= self._large:
            self._direct, self._past_cache = self._past_cache.begin(descriptor), None
        if self._direct:
            self._direct.write(piece)
        else:
            self._disk.write(descriptor, piece)

    def _settle(self) -> None:
        """Have all bytes in the file; what comes still goes through the cache."""
        direct, self._direct = self._direct, None
        if direct:
            direct.finish()

    def open(self) -> BinaryIO:
        if self._small is not None:
            return io.BytesIO(self._small)
        with told_as_refusals():
            self._settle()
        path = Path(self._path or f"/proc/self/fd/{self._descriptor}")
        with told_as_refusals():
            return path.open("rb")

    def seal(self) -> None:
        """Make the bytes last, and the mode that of a blob."""
        self.make_readable()
        self._disk.sync_file(self._opened())

    def make_readable(self) -> None:
        """Give the file a blob's mode, for a caller who syncs many files at once."""
        self._settle()
        if self._allocated > self.size:
            self._disk.trim(self._opened(), self.size)
        os.fchmod(self._opened(), BLOB_MODE)

    def seal_as(self, path: str) -> None:
        """As `seal`, and call the file by this name in staging."""
        if self._is_sealed:
            self.name(path)
        elif self._small is None:
            self.seal()
            self.name(path)
        else:
            self._share.take(self.size)
            # Before it is there, for `discard` is to remove what came of it.
            self._path = path
            self._disk.write_new(path, self._small, BLOB_MODE)
            self._small = None
        self._is_sealed = True

    def link(self, target: Path | str) -> None:
        """Give the file its public name. Raises FileExistsError, FileNotFoundError."""
        self._settle()
        if self._small is not None:
            self._opened()
        if self._path is None:
            self._disk.link_descriptor(self._descriptor, target)
        else:
            self._disk.link(self._path, target)

    def name(self, path: str) -> None:
        """Call the file by this name in staging, of which it goes with `discard`."""
        if self._path is None:
            self._disk.link_descriptor(self._opened(), path)
        else:
            self._disk.rename(self._path, path)
        self._path = path

    def replace_by(self, path: str | None) -> None:
        """Forget the bytes; what lies at ``path`` goes in their place with `discard`."""
        replaced, self._path = self._path, path
        if replaced is not None:
            with suppress(FileNotFoundError):
                os.unlink(replaced)  # noqa: PTH108 - text takes a fifth of the time

    def rest(self) -> None:
        with told_as_refusals():
            self._opened()
            self._settle()
            if self._path is None:
                self.name(self._unused_path())
        self._close()

    def _opened(self) -> int:
        """The descriptor, of a file that has all bytes; also if it was in memory, or rested.

        The mode of one that rested is still that of staging.
        """
        if self._small is not None:
            self._descriptor, self._path = self._begin()
            small, self._small = self._small, None
            if small:
                self._append(self._descriptor, small)
        if self._descriptor < 0 and self._path is not None:
            self._descriptor = os.open(self._path, os.O_RDWR)
        return self._descriptor

    def release(self) -> None:
        """Close the file, which is not read or written again, and leave its name."""
        self._share.release()
        self._close()

    def _close(self) -> None:
        direct, self._direct = self._direct, None
        if direct:
            direct.abandon()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def discard(self) -> None:
        self.release()
        self.replace_by(None)
