"""Staged files: unnamed where the file system can do that, else in a directory of the process."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.digest import Digest
from httpbucket.storage.base import StagedFile
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import BLOB_MODE, PRIVATE_DIRECTORY_MODE, Layout
from httpbucket.storage.local.locks import try_lock
from httpbucket.storage.local.room import Room, Share

_HAS_NO_UNNAMED_FILES = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}

#: More than sweepers can come between; where staging is gone, the end of trying.
_CLAIMS = 100


class LocalStagedFile:
    """A file without a name (``path`` None), or with one that nobody else knows."""

    def __init__(
        self,
        disk: Disk,
        share: Share,
        descriptor: int,
        path: Path | None,
        unused_path: Callable[[], Path],
    ) -> None:
        self._disk = disk
        self._unused_path = unused_path
        self._share = share
        self._descriptor = descriptor
        self._path = path
        self._allocated = 0
        self.size = 0

    def expect(self, size: int) -> None:
        """Set room for ``size`` bytes aside."""
        self._share.expect(size, self._allocate)

    def _allocate(self, size: int) -> bool:
        self._allocated = size if self._disk.allocate(self._descriptor, size) else 0
        return self._allocated > 0

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        with told_as_refusals():
            self._share.take(len(piece))
            self._disk.write(self._descriptor, piece)
        self.size += len(piece)

    def open(self) -> BinaryIO:
        path = self._path or Path(f"/proc/self/fd/{self._descriptor}")
        with told_as_refusals():
            return path.open("rb")

    def seal(self) -> None:
        """Make the bytes last, and the mode that of a blob."""
        self.make_readable()
        self._disk.sync_file(self._reopened())

    def make_readable(self) -> None:
        """Give the file a blob's mode, for a caller who syncs many files at once."""
        if self._allocated > self.size:
            self._disk.trim(self._reopened(), self.size)
        os.fchmod(self._reopened(), BLOB_MODE)

    def link(self, target: Path) -> None:
        """Give the file its public name. Raises FileExistsError, FileNotFoundError."""
        if self._path is None:
            self._disk.link_descriptor(self._descriptor, target)
        else:
            self._disk.link(self._path, target)

    def name(self, path: Path) -> None:
        """Call the file by this name in staging, of which it goes with `discard`."""
        if self._path is None:
            self._disk.link_descriptor(self._descriptor, path)
        else:
            self._disk.rename(self._path, path)
        self._path = path

    def replace_by(self, path: Path | None) -> None:
        """Forget the bytes; what lies at ``path`` goes in their place with `discard`."""
        replaced, self._path = self._path, path
        if replaced is not None:
            replaced.unlink(missing_ok=True)

    def rest(self) -> None:
        with told_as_refusals():
            if self._path is None:
                self.name(self._unused_path())
        self._close()

    def _reopened(self) -> int:
        """The descriptor, also of a file that rested; its mode is still that of staging."""
        if self._descriptor < 0 and self._path is not None:
            self._descriptor = os.open(self._path, os.O_RDWR)
        return self._descriptor

    def release(self) -> None:
        """Close the file, which is not read or written again, and leave its name."""
        self._share.release()
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def discard(self) -> None:
        self.release()
        self.replace_by(None)


class LocalStaging:
    """The staging of this process: ``private/staging/<pid>-<random>/``, locked while it lives.

    The lock is what `sweep` goes by. It is taken on first use, so that a process that forks has a
    directory of its own.
    """

    def __init__(
        self, layout: Layout, disk: Disk, *, unnamed: bool = True, room: Room | None = None
    ) -> None:
        self._layout = layout
        self._room = room or Room(layout.root)
        self._disk = disk
        self._unnamed = unnamed and hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir()
        self._guard = threading.Lock()
        self._own: tuple[int, Path, int] | None = None
        self._left: set[Path] = set()

    def create(self, *, size: int = 0) -> StagedFile:
        return self.create_local(size=size)

    def create_local(self, *, size: int = 0) -> LocalStagedFile:
        """As `create`, for the other parts of this backend."""
        with told_as_refusals():
            staged = self._create_unnamed() or self._create_named()
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
            own = self.unused_path()
            self._disk.link(path, own)
            staged = self._staged(os.open(own, os.O_RDONLY), own)
            staged.size = own.stat().st_size
            return staged

    def directory(self, name: str, mode: int = PRIVATE_DIRECTORY_MODE) -> Path:
        """A new, empty directory, for the caller to publish or to remove."""
        path = self._own_directory() / name
        self._disk.make_directory(path, mode)
        return path

    def unused_path(self) -> Path:
        """A path that nothing has yet, for something to be made there and renamed."""
        return self._own_directory() / secrets.token_hex(8)

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

    def pin_path(self, digest: Digest) -> Path:
        """An unused path for one more link of the blob ``digest``, which keeps it."""
        return self._own_directory() / f"pin-{digest.hex}-{secrets.token_hex(4)}"

    def count_pins(self, digest: Digest) -> int:
        """How many links of this blob are names on the way in only.

        They lie in any process's staging, in batches too, or are the bytes of a resumable upload
        that became the blob and is not finished.
        """
        patterns = (f"*/pin-{digest.hex}-*", f"*/batch-*/{digest.hex}*")
        pins = sum(1 for pattern in patterns for _ in self._layout.staging.glob(pattern))
        return pins + self._count_resumed(digest)

    def _count_resumed(self, digest: Digest) -> int:
        with suppress(FileNotFoundError):
            blob = self._layout.blob(digest).stat()
            every = self._layout.partial_uploads.glob("*/bytes")
            return sum(_is_file(path, blob) for path in every) if blob.st_nlink > 1 else 0
        return 0

    def sweep(self, *, idle_too: bool = True) -> int:
        with told_as_refusals():
            every = self._layout.staging.iterdir()
            return sum(_remove_if_dead(path, idle_too=idle_too) for path in every)

    def _create_unnamed(self) -> LocalStagedFile | None:
        if not self._unnamed:
            return None
        try:
            descriptor = os.open(self._layout.staging, os.O_TMPFILE | os.O_RDWR, 0o600)
        except OSError as error:
            if error.errno not in _HAS_NO_UNNAMED_FILES:
                raise
            self._unnamed = False
            return None
        return self._staged(descriptor, None)

    def _create_named(self) -> LocalStagedFile:
        path = self.unused_path()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        return self._staged(descriptor, path)

    def _staged(self, descriptor: int, path: Path | None) -> LocalStagedFile:
        return LocalStagedFile(self._disk, self.share(), descriptor, path, self.unused_path)

    def _own_directory(self) -> Path:
        if self._left:
            self._remove_left()
        with self._guard:
            if not self._owns_directory():
                self._own = (os.getpid(), *claim_directory(self._layout.staging, self._disk))
            assert self._own is not None
            return self._own[1]

    def _owns_directory(self) -> bool:
        """Not in a process that was forked, nor when somebody cleared the staging."""
        if self._own is None or self._own[0] != os.getpid():
            return False
        _, path, descriptor = self._own
        if path.is_dir():
            return True
        # Forgotten first: claiming another may fail, and the number soon is another file's.
        self._own = None
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


def _is_file(path: Path, file: os.stat_result) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), file)
    return False


def _remove_if_dead(path: Path, *, idle_too: bool) -> bool:
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
