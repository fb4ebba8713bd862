"""Files as they were, known again by what ``stat(2)`` says of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress

from httpbucket.storage.local.settled import changed_last, had_settled

#: Device, inode, size, and when its bytes and anything of it changed, in nanoseconds. Every new
#: name of a file, and every name less, is such a change.
_Identity = tuple[int, int, int, int, int]

# A FIFO that somebody put there would keep a reader waiting.
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

#: Reads what is in memory, or fails (Linux 4.14).
_AT_ONCE: int | None = getattr(os, "RWF_NOWAIT", None)


class LocalSighting:
    """The last of the names is the file's; none of them is a link, but those that we make."""

    __slots__ = ("_changed", "_file", "_identity", "_others")

    def __init__(self, names: Sequence[tuple[str, os.stat_result]]) -> None:
        *others, (self._file, status) = names
        self._identity = _identity(status)
        self._others = tuple((name, _identity(one)) for name, one in others)
        self._changed = max(changed_last(one) for _, one in names)

    def had_settled(self, *, before: float) -> bool:
        return had_settled(self._changed, before=before)

    def is_unchanged(self) -> bool:
        try:
            return self._are_others_unchanged() and _status(self._file) == self._identity
        except OSError:
            return False

    def read(self, start: int, stop: int) -> bytes | None:
        if _AT_ONCE is None:
            return None
        try:
            if not self._are_others_unchanged():
                return None
            descriptor = os.open(self._file, _OPEN)
        except OSError:
            return None
        try:
            if _identity(os.fstat(descriptor)) != self._identity:
                return None
            piece = bytearray(stop - start)
            count = os.preadv(descriptor, [piece], start, _AT_ONCE)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return bytes(piece) if count == stop - start else None

    def _are_others_unchanged(self) -> bool:
        return all(_status(name) == identity for name, identity in self._others)


def sight(names: Sequence[str]) -> LocalSighting | None:
    """What has these names now; None where the last one is no file, or cannot be read at once."""
    with suppress(OSError):
        # Text, which a Path would be made into at every look.
        seen = [(name, os.lstat(name)) for name in names]
        if stat.S_ISREG(seen[-1][1].st_mode) and _can_be_read_at_once(names[-1]):
            return LocalSighting(seen)
    return None


def _can_be_read_at_once(file: str) -> bool:
    """Whether the file system is able to; memory and network file systems may not be."""
    if _AT_ONCE is None:
        return False
    descriptor = os.open(file, _OPEN)
    try:
        os.preadv(descriptor, [bytearray(1)], 0, _AT_ONCE)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return True


def _status(name: str) -> _Identity:
    return _identity(os.lstat(name))


def _identity(status: os.stat_result) -> _Identity:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
