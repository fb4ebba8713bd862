"""Locks that a process lets go of by dying (flock(2)).

Who needs several takes them in this order, so that nobody waits for somebody who waits for him:

1. an unfinished upload (`LocalPartialUploads`) or a pending tree (`LocalPendingTrees`),
2. a turn (`in_turn`),
3. a place to unpack in, of this process (`Unpack`),
4. the stripes of replica directories, in the order of their names (`LocalReplicas`),
5. the records (`LocalRecords`),
6. freeing (`Freeing`),
7. the index's own (SQLite).

What a request holds while it works long (1 and 2) is waited for with an end: who waits without one
keeps a thread from everybody else, often for a client that is gone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from httpbucket.domain.errors import Busy
from httpbucket.storage.local.disk import told_as_refusals

_FIRST_PAUSE_SECONDS = 0.001
_PAUSE_SECONDS = 0.02


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file or directory; False when another open file has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for(descriptor: int, *, seconds: float, check: Callable[[], None] = lambda: None) -> None:
    """Take the lock of an open file or directory, waiting ``seconds`` for others to let go of it.

    ``check`` is called now and then meanwhile, and ends the waiting by raising. Raises `Busy`.
    """
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE_SECONDS
    while not try_lock(descriptor):
        if time.monotonic() >= deadline:
            raise Busy("Another request works on the same; try again in a few seconds.")
        check()
        time.sleep(pause)
        pause = min(2 * pause, _PAUSE_SECONDS)


@contextmanager
def locked(
    path: Path, *, seconds: float | None = None, check: Callable[[], None] = lambda: None
) -> Iterator[int]:
    """Hold the lock file at ``path``, waiting as `wait_for`; yields its descriptor.

    None of ``seconds`` is for a lock that is only held for moments: without end, and in the order
    in which others came. Raises `StorageUnavailable` where no file can be made, and `Busy`.
    """
    with told_as_refusals():
        descriptor = _open(path)
    try:
        if seconds is None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        else:
            wait_for(descriptor, seconds=seconds, check=check)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def in_turn(
    directory: Path, name: str, check: Callable[[], None] = lambda: None, *, seconds: float
) -> Iterator[datetime | None]:
    """Hold any ``name``, waiting as `wait_for`. No lock file is left behind.

    Yields since when a process held it that died; None when whoever held it last let go of it.
    """
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
    path = directory / f"turn-{digest}"
    while True:
        with told_as_refusals():
            is_new = _make(path)
        with locked(path, seconds=seconds, check=check) as descriptor:
            # Who held it before has removed the file, and others may hold a new one.
            if not _is_at(path, descriptor):
                continue
            # A file that is there still was left by a process that died.
            begun = None if is_new else os.fstat(descriptor).st_mtime
            try:
                yield None if begun is None else datetime.fromtimestamp(begun, UTC)
            finally:
                path.unlink(missing_ok=True)
            return


def _open(path: Path, flags: int = 0) -> int:
    """A lock file that the next process can open as well, whatever the umask."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)
    if os.fstat(descriptor).st_mode & 0o600 != 0o600:
        os.fchmod(descriptor, 0o600)
    return descriptor


def _make(path: Path) -> bool:
    try:
        os.close(_open(path, os.O_EXCL))
    except FileExistsError:
        return False
    return True


def sweep_turns(directory: Path, *, before: float) -> None:
    """Remove the files of turns that processes took ``before`` which died meanwhile.

    Later ones still tell whoever comes next that one died (`in_turn`).
    """
    for path in directory.glob("turn-*"):
        # One that cannot be removed now does no harm, and the next start comes.
        with suppress(OSError):
            if path.stat().st_mtime < before:
                _remove_if_free(path)


def _remove_if_free(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        if try_lock(descriptor) and _is_at(path, descriptor):
            path.unlink()
    finally:
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def only_one(path: Path) -> Iterator[bool]:
    """Hold the lock file at ``path`` if nobody does; yields whether it is held.

    Raises `StorageUnavailable` where no file can be made.
    """
    with told_as_refusals():
        descriptor = _open(path)
    try:
        yield try_lock(descriptor)
    finally:
        os.close(descriptor)
