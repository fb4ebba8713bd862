"""The directory in staging that is one process's own, locked while the process lives."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import threading
from contextlib import suppress
from pathlib import Path

from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import PRIVATE_DIRECTORY_MODE
from httpbucket.storage.local.locks import try_lock

#: More than sweepers can come between; where staging is gone, the end of trying.
_CLAIMS = 100


class OwnDirectory:
    """``<pid>-<random>/`` below ``staging``.

    It is claimed on first use, so that a process that forks has a directory of its own.
    """

    def __init__(self, staging: Path, disk: Disk) -> None:
        self._staging = staging
        self._disk = disk
        self._guard = threading.Lock()
        self._claimed: tuple[int, str, int] | None = None

    def claim(self) -> tuple[str, int]:
        """Its path, and the descriptor that locks it against every sweep."""
        with self._guard:
            if not self._is_claimed():
                path, descriptor = claim_directory(self._staging, self._disk)
                self._claimed = (os.getpid(), str(path), descriptor)
            assert self._claimed is not None
            _, own, lock = self._claimed
            return own, lock

    def _is_claimed(self) -> bool:
        """Not in a process that was forked, nor when somebody cleared the staging."""
        if self._claimed is None or self._claimed[0] != os.getpid():
            return False
        _, path, descriptor = self._claimed
        # Text, because pathlib would take longer than the system.
        if os.path.isdir(path):  # noqa: PTH112
            return True
        # Forgotten first: claiming another may fail, and the number soon is another file's.
        self._claimed = None
        os.close(descriptor)
        return False


def claim_directory(staging: Path, disk: Disk) -> tuple[Path, int]:
    """A new directory in staging, and the descriptor that locks it against every `sweep`.

    Raises FileNotFoundError when there is no staging.
    """
    for _ in range(_CLAIMS):
        path = staging / f"{os.getpid()}-{secrets.token_hex(4)}"
        # A sweeper may come between any two steps: then the directory is gone, or about to be.
        with suppress(FileNotFoundError):
            disk.make_directory(path, PRIVATE_DIRECTORY_MODE)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            if try_lock(descriptor) and path.exists():
                return path, descriptor
            os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(staging))


def remove_if_dead(path: Path, *, idle_too: bool) -> bool:
    """Remove what a dead process left there; whether it was one.

    Without ``idle_too`` a directory with nothing in it does not count, and stays.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        if not try_lock(descriptor):
            return False
        is_directory = path.is_dir()
        if not idle_too and not (is_directory and any(path.iterdir())):
            return False
        if is_directory:
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)
