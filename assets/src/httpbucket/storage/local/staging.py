"""Staged files: small ones in memory, others unnamed where the file system can do that.

Else they lie in a directory of the process.
"""

from __future__ import annotations

import errno
import io
import itertools
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
from httpbucket.storage.local.past_cache import (
    LARGE_BYTES,
    DirectWriter,
    PastCache,
)
from httpbucket.storage.local.room import Room, Share
from httpbucket.storage.local.staged_trees import TREES

_HAS_NO_UNNAMED_FILES = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}

#: What is no larger waits in memory until it has a name: making an unnamed file, and naming it,
#: takes two and a half times as long as making a named one.
SMALL_BYTES = 64 * 1024

#: More than sweepers can come between; where staging is gone, the end of trying.
_CLAIMS = 100


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


class LocalStaging:
    """The staging of this process: ``private/staging/<pid>-<random>/``, locked while it lives.

    The lock is what `sweep` goes by. It is taken on first use, so that a process that forks has a
    directory of its own.
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
        self._guard = threading.Lock()
        self._own: tuple[int, str, int] | None = None
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
        self._own_directory()
        assert self._own is not None
        return self._own[2]

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
        return f"{self._own_directory()}/pin-{digest.hex}-{next(self._pins)}"

    def count_pins(self, digest: Digest) -> int:
        """How many links of this blob are names on the way in only.

        They lie in any process's staging, in batches too, or are the bytes of a resumable upload
        that became the blob and is not finished.
        """
        patterns = (f"*/pin-{digest.hex}-*", f"*/batch-*/{digest.hex}*")
        pins = sum(1 for pattern in patterns for _ in self._layout.staging.glob(pattern))
        return pins + self._count_resumed(digest)

    def oldest_tree(self) -> int | None:
        """Since when there may be names on the way in that `count_pins` does not find."""
        trees = self._layout.staging.glob(f"*/batch-*/{TREES}*")
        return min((int(path.name.removeprefix(TREES)) for path in trees), default=None)

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
        with self._guard:
            if not self._owns_directory():
                path, descriptor = claim_directory(self._layout.staging, self._disk)
                self._own = (os.getpid(), str(path), descriptor)
            assert self._own is not None
            return self._own[1]

    def _owns_directory(self) -> bool:
        """Not in a process that was forked, nor when somebody cleared the staging."""
        if self._own is None or self._own[0] != os.getpid():
            return False
        _, path, descriptor = self._own
        # Text, because pathlib would take longer than the system.
        if os.path.isdir(path):  # noqa: PTH112
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
