"""Blobs as read-only files, named by their SHA-256."""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.digest import Digest, sha256
from httpbucket.domain.errors import BlobNotFound
from httpbucket.storage.base import BlobBatch, StagedFile
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import BLOB_MODE, PUBLIC_DIRECTORY_MODE, Layout
from httpbucket.storage.local.staging import LocalStagedFile, LocalStaging

logger = logging.getLogger(__name__)

#: What a small file takes on most disks; so many of them are looked at together, inodes too.
_LEAST_ROOM = 4096

_SHA256 = re.compile(r"[0-9a-f]{64}")


class LocalBlobStore:
    """``blob/ab/cd/<sha256>``: the first to link a name wins, and nobody writes to it again."""

    def __init__(self, layout: Layout, disk: Disk, staging: LocalStaging) -> None:
        self._layout = layout
        self._disk = disk
        self._staging = staging
        self._names = _Names(layout, disk)

    def keep(self, staged: StagedFile, digest: Digest) -> bool:
        assert isinstance(staged, LocalStagedFile), "a staged file of another backend"
        with told_as_refusals():
            is_new = self._names.size(digest) != staged.size
            if is_new:
                staged.seal()
                is_new = self._names.take(digest, staged.size, staged.link, sync=True)
            # Also when it was there: who linked it may not have come to syncing the directory.
            self._names.sync(digest)
        staged.discard()
        return is_new

    def batch(self) -> BlobBatch:
        return LocalBlobBatch(self._disk, self._staging, self._names)

    def open(self, digest: Digest) -> BinaryIO:
        return self._names.open(digest)

    def size(self, digest: Digest) -> int | None:
        with told_as_refusals():
            return self._names.size(digest)

    def kept(self, values: Collection[bytes]) -> set[bytes]:
        # 2 µs each; by way of `Layout` and `size` it would be 6.
        is_there, directory = os.access, str(self._layout.blobs)
        named = ((value, value.hex()) for value in values)
        return {
            value
            for value, name in named
            if is_there(f"{directory}/{name[:2]}/{name[2:4]}/{name}", os.F_OK)
        }

    def digests(self) -> Iterator[Digest]:
        for path in self._layout.blobs.glob("??/??/*"):
            if _SHA256.fullmatch(path.name):
                yield sha256(path.name)

    def local_path(self, digest: Digest) -> Path | None:
        return self._layout.blob(digest)

    def is_named(self, digest: Digest) -> bool | None:
        # Everything that names a blob is a hardlink to it, save for empty files.
        status = self._status(digest)
        if status is None:
            return False
        # A single name tells nothing: a copy of a store may be one without its hardlinks.
        return True if status.st_size and status.st_nlink > 1 else None

    def _status(self, digest: Digest) -> os.stat_result | None:
        with suppress(FileNotFoundError), told_as_refusals(but=FileNotFoundError):
            return self._layout.blob(digest).stat()
        return None


class LocalBlobBatch:
    """New contents wait under their final name in a staging directory, until all are synced."""

    def __init__(self, disk: Disk, staging: LocalStaging, names: _Names) -> None:
        self._disk = disk
        self._names = names
        self._share = staging.share()
        with told_as_refusals():
            self._directory = staging.directory(f"batch-{secrets.token_hex(8)}")
        self._waiting: dict[str, int] = {}
        self._kept = False

    def add_bytes(self, content: bytes, digest: Digest) -> bool:
        with told_as_refusals():
            is_new = self._is_new(digest, len(content))
            if is_new:
                path = f"{self._directory}/{digest.hex}"
                self._share.take(max(len(content), _LEAST_ROOM))
                self._disk.write_new(path, content, BLOB_MODE, sync=False)
                self._waiting[digest.hex] = len(content)
        return is_new

    def add_staged(self, staged: StagedFile, digest: Digest) -> bool:
        assert isinstance(staged, LocalStagedFile), "a staged file of another backend"
        with told_as_refusals():
            is_new = self._is_new(digest, staged.size)
            if is_new:
                staged.make_readable()
                staged.link(self._directory / digest.hex)
                self._waiting[digest.hex] = staged.size
        staged.discard()
        return is_new

    def open(self, digest: Digest) -> BinaryIO:
        try:
            with told_as_refusals(but=FileNotFoundError):
                return (self._directory / digest.hex).open("rb")
        except FileNotFoundError:
            return self._names.open(digest)

    def forget(self, digest: Digest) -> None:
        if self._waiting.pop(digest.hex, None) is not None:
            with told_as_refusals():
                (self._directory / digest.hex).unlink()

    def keep(self) -> None:
        if self._kept:
            return
        with told_as_refusals():
            self._disk.sync_everything(self._directory)
            for name, size in self._waiting.items():
                self._take(name, size)
            self._disk.sync_everything(self._directory)
        self._kept = True
        self.discard()

    def discard(self) -> None:
        self._share.release()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _is_new(self, digest: Digest, size: int) -> bool:
        return digest.hex not in self._waiting and self._names.size(digest) != size

    def _take(self, name: str, size: int) -> None:
        source = f"{self._directory}/{name}"
        link = lambda target: self._disk.link(source, target)  # noqa: E731
        self._names.take(sha256(name), size, link, sync=False)


class _Names:
    """The names of blobs. Who is first to take one has it; what cannot be the blob goes."""

    def __init__(self, layout: Layout, disk: Disk) -> None:
        self._layout = layout
        self._disk = disk

    def open(self, digest: Digest) -> BinaryIO:
        """As `BlobStore.open`."""
        try:
            with told_as_refusals(but=FileNotFoundError):
                return self._layout.blob(digest).open("rb")
        except FileNotFoundError:
            raise BlobNotFound(f"No blob {digest} is kept.") from None

    def size(self, digest: Digest) -> int | None:
        """The size of what bears the name."""
        try:
            # os.stat takes text; a Path would cost more than the call.
            return os.stat(self._layout.blob_text(digest)).st_size  # noqa: PTH116
        except FileNotFoundError:
            return None

    def take(self, digest: Digest, size: int, link: Callable[[Path], None], *, sync: bool) -> bool:
        """Give the blob's name by ``link``; False when somebody was faster with the same bytes.

        With ``sync`` directories that are made for it last; without, the caller syncs all at once.
        """
        path = self._layout.blob(digest)
        try:
            return self._link(path, size, link)
        except FileNotFoundError:
            self._make_parents(path, sync=sync)
            return self._link(path, size, link)

    def sync(self, digest: Digest) -> None:
        """Return when the name would survive power loss."""
        parent = self._layout.blob(digest).parent
        self._disk.ensure_directory(parent, PUBLIC_DIRECTORY_MODE, below=self._layout.blobs)
        self._disk.sync_directory(parent)

    def _link(self, path: Path, size: int, link: Callable[[Path], None]) -> bool:
        try:
            link(path)
        except FileExistsError:
            if path.stat().st_size == size:
                return False
            logger.error("Blob %s has the wrong size; it is moved to quarantine.", path.name)
            self._disk.rename(path, self._layout.quarantine / path.name)
            # Somebody who saw the same may be faster.
            return self._link(path, size, link)
        return True

    def _make_parents(self, path: Path, *, sync: bool) -> None:
        if sync:
            self._disk.forget_directory(path.parent)
            mode, blobs = PUBLIC_DIRECTORY_MODE, self._layout.blobs
            self._disk.ensure_directory(path.parent, mode, below=blobs)
            return
        with suppress(FileExistsError):
            try:
                self._disk.make_directory(path.parent, PUBLIC_DIRECTORY_MODE)
            except FileNotFoundError:
                self._make_parents(path.parent, sync=False)
                self._disk.make_directory(path.parent, PUBLIC_DIRECTORY_MODE)
