"""The few system calls that change the disk: syncing and faults are decided in one place."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from httpbucket.domain.errors import StorageFull, StorageUnavailable
from httpbucket.storage.local.shared_syncs import SharedSyncs
from httpbucket.storage.local.system_calls import (
    fallocate,
    set_flags,
    sync_directory,
    sync_file_system,
)

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}

# What a file system says that writes no file past the page cache, or not so (open(2), O_DIRECT).
_HAS_NO_DIRECT_WRITES = {errno.EINVAL, errno.EOPNOTSUPP}
_O_DIRECT: int = getattr(os, "O_DIRECT", 0)


class _Refusals:
    """As `told_as_refusals`; a generator would take four times as long, for each small file."""

    __slots__ = ("_but",)

    def __init__(self, but: type[OSError] | tuple[type[OSError], ...]) -> None:
        self._but = but

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, *_: object
    ) -> None:
        if not isinstance(error, OSError) or isinstance(error, self._but):
            return
        if error.errno in _NO_ROOM:
            raise StorageFull("The store has no room for this upload.") from error
        reason = os.strerror(error.errno or 0).lower()
        raise StorageUnavailable(f"The store cannot be used now: {reason}.") from error


def told_as_refusals(*, but: type[OSError] | tuple[type[OSError], ...] = ()) -> _Refusals:
    """Turn what the system says of a full or unusable disk into the refusals of the ports.

    An error ``but`` is an answer to the caller and passes.
    """
    return _Refusals(but)


class Disk:
    """Writes to one file system, durably unless ``fsync`` is off.

    A sync that failed is never tried again on the same descriptor: the kernel may have dropped the
    pages and would report success (https://wiki.postgresql.org/wiki/Fsync_Errors).
    """

    def __init__(self, *, fsync: bool = True) -> None:
        self._fsync = fsync
        # Text, not paths: a busy store has 65,536 directories of blobs.
        self._lasting: set[str] = set()
        self._directories = SharedSyncs(sync_directory)
        self._lock = threading.Lock()

    def write(self, descriptor: int, piece: bytes | bytearray | memoryview) -> None:
        """Write all of ``piece``."""
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def go_direct(self, descriptor: int) -> bool:
        """Have what is written pass the page cache by; False where that is not offered."""
        try:
            set_flags(descriptor, on=_O_DIRECT)
        except OSError as error:
            if error.errno not in _HAS_NO_DIRECT_WRITES:
                raise
            return False
        return _O_DIRECT != 0

    def go_through_cache(self, descriptor: int) -> None:
        """Undo `go_direct`."""
        set_flags(descriptor, off=_O_DIRECT)

    def write_direct(self, descriptor: int, piece: memoryview) -> None:
        """As `write`; through the cache from where the file system refuses to go past it."""
        start = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            self.write(descriptor, piece)
        except OSError as error:
            if error.errno not in _HAS_NO_DIRECT_WRITES:
                raise
            self.go_through_cache(descriptor)
            written = os.lseek(descriptor, 0, os.SEEK_CUR) - start
            self.write(descriptor, piece[written:])

    def allocate(self, descriptor: int, size: int) -> bool:
        """Set room for ``size`` bytes aside on the disk; False where the file system cannot.

        Raises OSError when there is no room. Ends with the file, or with `trim`.
        """
        error = fallocate(descriptor, size)
        if error in _NO_ROOM:
            raise OSError(error, os.strerror(error))
        return error == 0

    def trim(self, descriptor: int, size: int) -> None:
        """Give back what was allocated beyond the file's ``size``."""
        os.ftruncate(descriptor, size)

    def sync_file(self, descriptor: int) -> None:
        """Return when the file's bytes and mode would survive power loss."""
        if self._fsync:
            os.fsync(descriptor)

    def sync_directory(self, path: Path | str) -> None:
        """Return when the names in the directory would survive power loss."""
        if self._fsync:
            self._directories.sync(str(path))

    def sync_everything(self, path: Path) -> None:
        """Return when all that was written to the file system of ``path`` would survive power loss.

        One call for a whole tree, where syncing file by file would take most of the time.
        """
        if not self._fsync:
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            sync_file_system(descriptor)
        finally:
            os.close(descriptor)

    def make_directory(self, path: Path | str, mode: int, *, keeps_modes: bool = False) -> None:
        """Make a directory of exactly this mode, whatever the umask. Raises FileExistsError.

        Where `make_probing` found that a place ``keeps_modes``, there is no need to set it.
        """
        # A new store makes thousands; by way of pathlib that takes half as long again.
        os.mkdir(path, mode)  # noqa: PTH102
        if not keeps_modes:
            os.chmod(path, mode)  # noqa: PTH101

    def make_directories(self, path: str, mode: int, *, keeps_modes: bool = False) -> bool:
        """As `make_directory`, with the parents where missing; whether it was.

        Nothing is synced. Parents get their mode set: what they would hand on, those below do not
        get.
        """
        with suppress(FileExistsError):
            try:
                self.make_directory(path, mode, keeps_modes=keeps_modes)
            except FileNotFoundError:
                self.make_directories(path.rpartition("/")[0], mode)
                self.make_directory(path, mode, keeps_modes=keeps_modes)
            return True
        return False

    def make_probing(self, path: str, mode: int) -> bool:
        """As `make_directory`; whether new directories and files get modes within this one.

        A umask may take from them, a default ACL as well, and a directory may hand its own on.
        """
        self.make_directory(path, mode, keeps_modes=True)
        keeps_modes = stat.S_IMODE(os.stat(path).st_mode) == mode  # noqa: PTH116
        if not keeps_modes:
            os.chmod(path, mode)  # noqa: PTH101
        return keeps_modes

    def ensure_directory(self, path: Path | str, mode: int, *, below: Path) -> None:
        """Make the directory and its parents down from ``below`` where missing, lastingly.

        Another process may have made a directory and not yet synced its name. Hence the first use
        of a directory by this process syncs its parent, whoever made it.
        """
        path = str(path)
        if path in self._lasting or path == str(below):
            return
        parent = path.rpartition("/")[0]
        self.ensure_directory(parent, mode, below=below)
        with suppress(FileExistsError):
            self.make_directory(path, mode)
        self.sync_directory(parent)
        with self._lock:
            self._lasting.add(path)

    def open_below(self, root: Path, parts: Sequence[str], mode: int) -> int:
        """Open the directory ``parts`` below ``root``, made lastingly where missing.

        Never follows a symlink: one in the way raises OSError (ELOOP or ENOTDIR). The caller
        closes the descriptor.
        """
        path, descriptor = root, os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        for part in parts:
            path = path / part
            try:
                inner = self._open_or_make(part, mode, path, parent=descriptor)
            finally:
                os.close(descriptor)
            descriptor = inner
        return descriptor

    def _open_or_make(self, name: str, mode: int, path: Path, *, parent: int) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        made = False
        with suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=parent)
            made = True
        descriptor = os.open(name, flags, dir_fd=parent)
        try:
            if made:
                os.fchmod(descriptor, mode)
            if made or str(path) not in self._lasting:
                self.sync_file(parent)
                with self._lock:
                    self._lasting.add(str(path))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def make_missing_directory(self, path: Path | str, mode: int, *, below: Path) -> None:
        """As `ensure_directory`, for one that is missing, though it may have been there before."""
        with self._lock:
            self._lasting.discard(str(path))
        try:
            self.ensure_directory(path, mode, below=below)
        except FileNotFoundError:
            # Somebody removed its parents too.
            with self._lock:
                self._lasting.difference_update(map(str, Path(path).parents))
            self.ensure_directory(path, mode, below=below)

    def link(self, source: Path | str, target: Path | str, *, directory: int | None = None) -> None:
        """Give the file one more name, below ``directory`` if its descriptor is given.

        Raises FileExistsError, or OSError (EMLINK and others).
        """
        os.link(source, target, dst_dir_fd=directory, follow_symlinks=False)

    def link_descriptor(self, descriptor: int, target: Path | str) -> None:
        """Give an unnamed file its first name. Raises FileExistsError.

        ``linkat`` follows the magic link only with AT_SYMLINK_FOLLOW, which Python passes on when
        a descriptor is given as well (open(2), O_TMPFILE); of an absolute path it is not looked at.
        """
        os.link(f"/proc/self/fd/{descriptor}", target, src_dir_fd=descriptor)

    def rename(
        self, source: Path | str, target: Path | str, *, directory: int | None = None
    ) -> None:
        """Give a file or directory another name, in one step.

        ``target`` lies below ``directory`` if its descriptor is given.
        """
        os.rename(source, target, dst_dir_fd=directory)

    def unlink(self, path: Path | str, *, directory: int | None = None) -> None:
        """Take a file's name away, below ``directory`` if given. Raises FileNotFoundError."""
        os.unlink(path, dir_fd=directory)

    def rename_out(self, name: str, target: Path, *, directory: int) -> None:
        """Move what has this name in an open directory out of it, in one step."""
        os.rename(name, target, src_dir_fd=directory)

    def write_new(
        self,
        path: Path | str,
        content: bytes | bytearray,
        mode: int,
        *,
        directory: int | None = None,
        sync: bool = True,
        keeps_modes: bool = False,
    ) -> None:
        """Make a file of exactly this mode where there is none. Raises FileExistsError.

        ``sync`` is off for a caller who syncs many files at once; ``keeps_modes`` as above.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor = os.open(path, flags, mode if keeps_modes else 0o600, dir_fd=directory)
        try:
            self.write(descriptor, content)
            if not keeps_modes:
                os.fchmod(descriptor, mode)
            if sync:
                self.sync_file(descriptor)
        finally:
            os.close(descriptor)
