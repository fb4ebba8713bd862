"""System calls that Python does not offer, or not at once."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os

# FALLOC_FL_KEEP_SIZE of <linux/falloc.h>.
_KEEP_SIZE = 1


def sync_file_system(descriptor: int) -> None:
    """``syncfs(2)``, which reports write errors since Linux 5.8; sync(2) where it is missing."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
    elif syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def fallocate(descriptor: int, size: int) -> int:
    """``fallocate(2)`` that leaves the file's size as it is; the error number, or 0.

    Python's own ``posix_fallocate`` would write zeros where the file system cannot do it.
    """
    library = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    if fallocate is None:
        return errno.ENOSYS
    offset, length = ctypes.c_int64(0), ctypes.c_int64(size)
    failed = fallocate(descriptor, _KEEP_SIZE, offset, length) != 0
    return ctypes.get_errno() if failed else 0


def set_flags(descriptor: int, *, on: int = 0, off: int = 0) -> None:
    """Change the status flags of an open file (``F_SETFL`` of fcntl(2))."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, (flags | on) & ~off)


def sync_directory(path: str) -> None:
    """``fsync(2)`` of a directory: its names last."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
