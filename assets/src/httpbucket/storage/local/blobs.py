"""Blobs as read-only files, named by their SHA-256."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.digest import Digest, sha256
from httpbucket.domain.errors import BlobNotFound
from httpbucket.storage.base import BlobBatch, StagedFile
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import BLOB_MODE, PUBLIC_DIRECTORY_MODE, Layout
from httpbucket.storage.local.staging import LocalStagedFile, LocalStaging

_SHA256_DIGITS = 64


class LocalBlobBatch:
    """New contents wait under their final name in a staging directory, until all are synced."""

    def __init__(self, layout: Layout, disk: Disk, staging: LocalStaging) -> None:
        self._layout = layout
        self._disk = disk
        with told_as_refusals():
            self._directory = staging.directory(f"batch-{secrets.token_hex(8)}")
        self._waiting: set[str] = set()

    def add_bytes(self, content: bytes, digest: Digest) -> None:
        if self._is_new(digest):
            with told_as_refusals():
                path = self._directory / digest.hex
                self._disk.write_new(path, content, BLOB_MODE, sync=False)
            self._waiting.add(digest.hex)

    def add_staged(self, staged: StagedFile, digest: Digest) -> None:
        assert isinstance(staged, LocalStagedFile), "a staged file of another backend"
        if self._is_new(digest):
            with told_as_refusals():
                staged.make_readable()
                staged.link(self._directory / digest.hex)
            self._waiting.add(digest.hex)
        staged.discard()

    def keep(self) -> None:
        with told_as_refusals():
            self._disk.sync_everything(self._directory)
            for name in self._waiting:
                self._link(sha256(name))
            self._disk.sync_everything(self._layout.blobs)
        self.discard()

    def discard(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def _is_new(self, digest: Digest) -> bool:
        return digest.hex not in self._waiting and not self._layout.blob(digest).exists()

    def _link(self, digest: Digest) -> None:
        path = self._layout.blob(digest)
        waiting = self._directory / digest.hex
        try:
            _is_first(lambda target: self._disk.link(waiting, target), path)
        except FileNotFoundError:
            for directory in (path.parent.parent, path.parent):
                with suppress(FileExistsError):
                    self._disk.make_directory(directory, PUBLIC_DIRECTORY_MODE)
            _is_first(lambda target: self._disk.link(waiting, target), path)


class LocalBlobStore:
    """``blob/ab/cd/<sha256>``: the first to link a name wins, and nobody writes to it again."""

    def __init__(self, layout: Layout, disk: Disk, staging: LocalStaging) -> None:
        self._layout = layout
        self._disk = disk
        self._staging = staging

    def keep(self, staged: StagedFile, digest: Digest) -> bool:
        assert isinstance(staged, LocalStagedFile), "a staged file of another backend"
        path = self._layout.blob(digest)
        with told_as_refusals():
            is_new = self.size(digest) != staged.size and self._seal_and_link(staged, path)
            # Also when it was there: who linked it may not have come to syncing the directory.
            self._ensure_parent(path)
            self._disk.sync_directory(path.parent)
        staged.discard()
        return is_new

    def open(self, digest: Digest) -> BinaryIO:
        try:
            with told_as_refusals():
                return self._layout.blob(digest).open("rb")
        except FileNotFoundError:
            raise BlobNotFound(f"No blob {digest} is kept.") from None

    def size(self, digest: Digest) -> int | None:
        try:
            return self._layout.blob(digest).stat().st_size
        except FileNotFoundError:
            return None

    def digests(self) -> Iterator[Digest]:
        for path in self._layout.blobs.glob("??/??/*"):
            if len(path.name) == _SHA256_DIGITS:
                yield sha256(path.name)

    def local_path(self, digest: Digest) -> Path | None:
        return self._layout.blob(digest)

    def is_named(self, digest: Digest) -> bool | None:
        # Everything that names a blob is a hardlink to it, save for empty files.
        with suppress(FileNotFoundError):
            status = self._layout.blob(digest).stat()
            return status.st_nlink > 1 if status.st_size else None
        return False

    def batch(self) -> BlobBatch:
        return LocalBlobBatch(self._layout, self._disk, self._staging)

    def _seal_and_link(self, staged: LocalStagedFile, path: Path) -> bool:
        staged.seal()
        self._ensure_parent(path)
        try:
            return _is_first(staged.link, path)
        except FileNotFoundError:
            self._disk.forget_directory(path.parent)
            self._ensure_parent(path)
            return _is_first(staged.link, path)

    def _ensure_parent(self, path: Path) -> None:
        self._disk.ensure_directory(path.parent, PUBLIC_DIRECTORY_MODE, below=self._layout.blobs)


def _is_first(link: Callable[[Path], None], path: Path) -> bool:
    """Link the name; False when somebody was faster, whose bytes are the same."""
    try:
        link(path)
    except FileExistsError:
        return False
    return True
