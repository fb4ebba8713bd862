"""Blobs as read-only files, named by their SHA-256."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.digest import Digest, sha256
from httpbucket.domain.errors import BlobNotFound
from httpbucket.storage.base import StagedFile
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import PUBLIC_DIRECTORY_MODE, Layout
from httpbucket.storage.local.staging import LocalStagedFile

logger = logging.getLogger(__name__)

_SHA256 = re.compile(r"[0-9a-f]{64}")


class LocalBlobStore:
    """``blob/ab/cd/<sha256>``: the first to link a name wins, and nobody writes to it again."""

    def __init__(self, layout: Layout, disk: Disk) -> None:
        self._layout = layout
        self._disk = disk

    def keep(self, staged: StagedFile, digest: Digest) -> bool:
        assert isinstance(staged, LocalStagedFile), "a staged file of another backend"
        path = self._layout.blob(digest)
        with told_as_refusals():
            is_new = self.size(digest) != staged.size and self._publish(staged, path)
            # Also when it was there: who linked it may not have come to syncing the directory.
            self._ensure_parent(path)
            self._disk.sync_directory(path.parent)
        staged.discard()
        return is_new

    def open(self, digest: Digest) -> BinaryIO:
        try:
            with told_as_refusals(but=FileNotFoundError):
                return self._layout.blob(digest).open("rb")
        except FileNotFoundError:
            raise BlobNotFound(f"No blob {digest} is kept.") from None

    def size(self, digest: Digest) -> int | None:
        status = self._status(digest)
        return status.st_size if status else None

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
        return status.st_nlink > 1 if status.st_size else None

    def _status(self, digest: Digest) -> os.stat_result | None:
        with suppress(FileNotFoundError), told_as_refusals(but=FileNotFoundError):
            return self._layout.blob(digest).stat()
        return None

    def _publish(self, staged: LocalStagedFile, path: Path) -> bool:
        staged.seal()
        self._ensure_parent(path)
        try:
            return self._link_new(staged, path) or self._link_over_damaged(staged, path)
        except FileNotFoundError:
            self._disk.forget_directory(path.parent)
            self._ensure_parent(path)
            return self._link_new(staged, path)

    def _link_over_damaged(self, staged: LocalStagedFile, path: Path) -> bool:
        """Set aside what bears the blob's name and cannot be it: nothing else is acknowledged."""
        if path.stat().st_size == staged.size:
            return False
        logger.error("Blob %s has the wrong size; it is moved to quarantine.", path.name)
        self._disk.rename(path, self._layout.quarantine / path.name)
        return self._link_new(staged, path)

    def _ensure_parent(self, path: Path) -> None:
        self._disk.ensure_directory(path.parent, PUBLIC_DIRECTORY_MODE, below=self._layout.blobs)

    def _link_new(self, staged: LocalStagedFile, path: Path) -> bool:
        try:
            staged.link(path)
        except FileExistsError:
            return False
        return True
