"""Locks that a process lets go of by dying (flock(2))."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from httpbucket.storage.local.disk import told_as_refusals


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file or directory; False when another open file has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock(descriptor: int) -> None:
    """Take the lock of an open file or directory, waiting for others to let go of it."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock file at ``path``, waiting for others to let go of it; yields its descriptor."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def in_turn(directory: Path, name: str) -> Iterator[datetime | None]:
    """Hold any ``name``, waiting for others to let go of it. No lock file is left behind.

    Yields since when a process held it that died; None when whoever held it last let go of it.
    """
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
    path = directory / f"turn-{digest}"
    while True:
        is_new = _make(path)
        with locked(path) as descriptor:
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
