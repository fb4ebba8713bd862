"""How much may still be written: what the file system has left, less a floor, within a quota.

Bytes are set aside before they come. Of a length that is known, the file system itself sets them
aside where it can (``fallocate(2)``), so that other processes see it and a dead one lets go of
them; a shorter or an unknown one is counted here, for the threads of this process.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from httpbucket.domain.errors import IndexNotReady, StorageFull

#: From this size on, asking the file system pays.
ALLOCATE_FROM = 1024**2

#: So much is set aside at a time for what comes without a length.
STEP = 1024**2

#: How old what is said of the bytes of all contents may be.
REMEMBERED_SECONDS = 5.0


class Room:
    """The room on the file system of ``path``. Used by every thread.

    A floor of 0 is none. ``max_store_bytes`` bounds the bytes of all contents, each counted once,
    as ``used_bytes`` tells them; while it tells None, nothing is refused for it. ``alone`` is held
    while the file system sets bytes aside: of two processes that ask it at once for more than half
    of what is left, both may be refused, as each has taken a part when it finds out (tmpfs).
    """

    def __init__(
        self,
        path: Path,
        *,
        min_free_bytes: int = 0,
        min_free_inodes: int = 0,
        max_store_bytes: int | None = None,
        used_bytes: Callable[[], int | None] = lambda: None,
        alone: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._path = path
        self._min_free_bytes = min_free_bytes
        self._min_free_inodes = min_free_inodes
        self._max_store_bytes = max_store_bytes
        self._used_bytes = used_bytes
        self._alone = alone
        self._lock = threading.Lock()
        # Set aside and not written yet, of that what the file system does not know of, and
        # all bytes that are on their way in.
        self._counted = 0
        self._coming = 0

    def require(self, size: int = 0, *, promised: Callable[[], int] = lambda: 0) -> None:
        """Raise `StorageFull` unless ``size`` bytes more may be written now.

        Within the quota, what was ``promised`` to others has to fit beside them.
        """
        used = self._used()
        self._check(size, None if used is None else used + promised())

    def _used(self) -> int | None:
        return None if self._max_store_bytes is None else self._used_bytes()

    def _check(self, size: int, used: int | None) -> None:
        free_bytes, free_inodes = _free(self._path)
        if free_bytes - self._counted - size < self._min_free_bytes:
            raise StorageFull(
                "The disk has no room for this upload; MIN_FREE_BYTES are to stay free."
            )
        if free_inodes is not None and free_inodes < self._min_free_inodes:
            raise StorageFull(
                "The disk has no room for more files; MIN_FREE_INODES are to stay free."
            )
        quota = self._max_store_bytes
        if quota is not None and used is not None and used + self._coming + size > quota:
            raise StorageFull(
                f"The store may hold {quota} bytes (MAX_STORE_BYTES), "
                "and has no room for this upload."
            )

    def set_aside(self, size: int, allocate: Callable[[int], bool]) -> int:
        """Set ``size`` bytes aside; how many of them are only counted, to be given back.

        Raises `StorageFull`, and what ``allocate`` raises.
        """
        # Counting may take a while; nobody else is to wait for it.
        used = self._used()
        is_large = size >= ALLOCATE_FROM
        with self._lock, self._alone() if is_large else nullcontext():
            self._check(size, used)
            counted = 0 if is_large and allocate(size) else size
            self._counted += counted
            self._coming += size
        return counted

    def give_back(self, *, counted: int = 0, coming: int = 0) -> None:
        """So much of what was counted is written, or will not be; so much comes no more."""
        with self._lock:
            self._counted -= counted
            self._coming -= coming


class Share:
    """The room that one writer has set aside. Used by one thread; ends with `release`."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._left = 0
        self._counted = 0
        self._coming = 0

    def expect(self, size: int, allocate: Callable[[int], bool] = lambda size: False) -> None:
        """Set ``size`` bytes aside for what comes. Raises `StorageFull` when there is no room."""
        self._counted += self._room.set_aside(size, allocate)
        self._coming += size
        self._left += size

    def take(self, size: int) -> None:
        """Write ``size`` bytes of it, and ask for more where it does not reach."""
        if size > self._left:
            self.expect(max(size - self._left, STEP))
        self._left -= size
        written = min(size, self._counted)
        if written:
            self._counted -= written
            self._room.give_back(counted=written)

    def release(self) -> None:
        """Let go of it. May be repeated."""
        self._room.give_back(counted=self._counted, coming=self._coming)
        self._left = self._counted = self._coming = 0


class Remembered:
    """A count that is asked for anew after a while only; None while it cannot be told."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._value: int | None = None
        self._until = 0.0

    def value(self) -> int | None:
        """The count, as it was at most `REMEMBERED_SECONDS` ago."""
        if time.monotonic() >= self._until:
            try:
                self._value = self._count()
            except IndexNotReady:
                self._value = None
            self._until = time.monotonic() + REMEMBERED_SECONDS
        return self._value


def _free(path: Path) -> tuple[int, int | None]:
    """The bytes and inodes that this user may still use; None where inodes are not counted.

    Btrfs and some network file systems say that they have no inodes at all.
    """
    status = os.statvfs(path)
    inodes = status.f_favail if status.f_files else None
    return status.f_bavail * status.f_frsize, inodes
