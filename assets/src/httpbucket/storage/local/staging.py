"""Staged files: small ones in memory, others unnamed where the file system can do that.

Else they lie in a directory of the process.
"""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from httpbucket.domain.digest import Digest
from httpbucket.storage.base import StagedFile
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import PRIVATE_DIRECTORY_MODE, Layout
from httpbucket.storage.local.own_directory import OwnDirectory, remove_if_dead
from httpbucket.storage.local.past_cache import LARGE_BYTES, PastCache
from httpbucket.storage.local.pins import pin_name
from httpbucket.storage.local.room import Room, Share
from httpbucket.storage.local.staged_file import LocalStagedFile

_HAS_NO_UNNAMED_FILES = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}

#: What is no larger waits in memory until it has a name: making an unnamed file, and naming it,
#: takes two and a half times as long as making a named one.
SMALL_BYTES = 64 * 1024


class LocalStaging:
    """The staging of this process: ``private/staging/<pid>-<random>/``, locked while it lives.

    The lock is what `sweep` goes by.
    """

    def __init__(
        self,
        layout: Layout,
        disk: Disk,
        *,
        unnamed: bool = True,
        in_memory: int = SMALL_BYTES,
        room: Room | None = None,
        past_cache: PastCache | None = None,
        large: int = LARGE_BYTES,
    ) -> None:
        self._in_memory = in_memory
        self._past_cache = past_cache
        self._large = large
        self._layout = layout
        self._room = room or Room(layout.root)
        self._disk = disk
        self._unnamed = unnamed and hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir()
        self._own = OwnDirectory(layout.staging, disk)
        self._staging_text = str(layout.staging)
        # Names are this process's alone, in its directory.
        self._pins = itertools.count()
        self._left: set[Path] = set()

    def create(self, *, size: int = 0) -> StagedFile:
        return self.create_local(size=size)

    def create_local(self, *, size: int = 0) -> LocalStagedFile:
        """As `create`, for the other parts of this backend."""
        with told_as_refusals():
            staged = self._staged()
            try:
                staged.expect(size)
            except BaseException:
                staged.discard()
                raise
            return staged

    def require(self, size: int, *, promised: Callable[[], int]) -> None:
        """Raise `StorageFull` unless ``size`` bytes may come beside what was ``promised``."""
        with told_as_refusals():
            self._room.require(size, promised=promised)

    def share(self) -> Share:
        """Room for what is written beside staged files."""
        return Share(self._room)

    def adopt(self, path: Path) -> LocalStagedFile:
        """A file that lies elsewhere in the store as a staged one; it stays there as well."""
        with told_as_refusals():
            own = self._unused_text()
            self._disk.link(path, own)
            staged = self._staged((os.open(own, os.O_RDONLY), own))
            staged.size = Path(own).stat().st_size
            return staged

    def directory(self, name: str, mode: int = PRIVATE_DIRECTORY_MODE) -> Path:
        """A new, empty directory, for the caller to publish or to remove."""
        path = f"{self._own_directory()}/{name}"
        self._disk.make_directory(path, mode)
        return Path(path)

    @property
    def lock(self) -> int:
        """The descriptor that keeps this staging from every `sweep`, also in who inherits it."""
        return self._own.claim()[1]

    def unused_path(self) -> Path:
        """A path that nothing has yet, for something to be made there and renamed."""
        return Path(self._unused_text())

    def _unused_text(self) -> str:
        return f"{self._own_directory()}/{secrets.token_hex(8)}"

    def remove_tree(self, path: Path) -> None:
        """Remove a directory of this staging or of the trash, with all that is in it.

        A second try takes what one that met a fault left. What cannot be removed now, for want of
        a descriptor say, goes with the next use of staging: nobody else would remove it while
        this process lives.
        """
        self._left.add(path)
        for _ in range(2):
            self._remove_left()

    def _remove_left(self) -> None:
        for path in tuple(self._left):
            shutil.rmtree(path, ignore_errors=True)
            if not path.exists():
                self._left.discard(path)

    def pin_path(self, digest: Digest) -> str:
        """An unused path for one more link of the blob ``digest``, which keeps it."""
        return f"{self._own_directory()}/{pin_name(digest, next(self._pins))}"

    def sweep(self, *, idle_too: bool = True) -> int:
        with told_as_refusals():
            every = self._layout.staging.iterdir()
            return sum(remove_if_dead(path, idle_too=idle_too) for path in every)

    def _staged(self, file: tuple[int, str] | None = None) -> LocalStagedFile:
        return LocalStagedFile(
            self._disk,
            self.share(),
            self._begin,
            self._unused_text,
            file=file,
            in_memory=self._in_memory,
            past_cache=self._past_cache,
            large=self._large,
        )

    def _begin(self) -> tuple[int, str | None]:
        """A new file: its descriptor, and its path if it has one."""
        descriptor = self._create_unnamed() if self._unnamed else None
        if descriptor is not None:
            return descriptor, None
        path = self._unused_text()
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), path

    def _create_unnamed(self) -> int | None:
        try:
            return os.open(self._staging_text, os.O_TMPFILE | os.O_RDWR, 0o600)
        except OSError as error:
            if error.errno not in _HAS_NO_UNNAMED_FILES:
                raise
            self._unnamed = False
            return None

    def _own_directory(self) -> str:
        if self._left:
            self._remove_left()
        return self._own.claim()[0]
