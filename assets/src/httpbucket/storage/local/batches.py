"""Many contents that become blobs together."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.digest import EMPTY, Digest, sha256
from httpbucket.storage.base import StagedFile
from httpbucket.storage.local.blob_names import ATTEMPTS, BlobNames
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import BLOB_MODE
from httpbucket.storage.local.staging import LocalStagedFile, LocalStaging

#: What a small file takes on most disks; so many of them are looked at together, inodes too.
_LEAST_ROOM = 4096


class LocalBlobBatch:
    """A staging directory in which every content has a link under the blob's name.

    New contents wait there until all are synced. From the moment that a content is taken until the
    batch is discarded, its link keeps the blob from being freed.
    """

    def __init__(self, disk: Disk, staging: LocalStaging, names: BlobNames) -> None:
        self._disk = disk
        self._names = names
        self._staging = staging
        self._share = staging.share()
        with told_as_refusals():
            self._directory = staging.directory(f"batch-{secrets.token_hex(8)}")
        self._front = f"{self._directory}/"
        self._waiting: dict[str, int] = {}
        self._known: set[str] = set()
        self._is_kept = False

    def add_bytes(self, content: bytes, digest: Digest) -> bool:
        with told_as_refusals():
            is_new = self._is_new(digest, len(content))
            if is_new:
                self._share.take(max(len(content), _LEAST_ROOM))
                self._disk.write_new(self._path(digest), content, BLOB_MODE, sync=False)
                self._waiting[digest.hex] = len(content)
        return is_new

    def add_staged(self, staged: StagedFile, digest: Digest) -> bool:
        assert isinstance(staged, LocalStagedFile), "a staged file of another backend"
        with told_as_refusals():
            is_new = self._is_new(digest, staged.size)
            if is_new:
                staged.make_readable()
                staged.link(Path(self._path(digest)))
                self._waiting[digest.hex] = staged.size
        staged.discard()
        return is_new

    def hold(self, digest: Digest) -> bool:
        # The empty blob always stays.
        if digest == EMPTY or digest.hex in self._waiting or digest.hex in self._known:
            return True
        with told_as_refusals():
            is_held = self._names.pin(digest, self._path(digest))
        if is_held:
            self._known.add(digest.hex)
        return is_held

    def open(self, digest: Digest) -> BinaryIO:
        try:
            with told_as_refusals(but=FileNotFoundError):
                return Path(self._path(digest)).open("rb")
        except FileNotFoundError:
            return self._names.open(digest)

    def forget(self, digest: Digest) -> None:
        if self._waiting.pop(digest.hex, None) is not None:
            with told_as_refusals():
                Path(self._path(digest)).unlink()

    def keep(self) -> None:
        if self._is_kept:
            return
        with told_as_refusals():
            self._disk.sync_everything(self._directory)
            for name, size in self._waiting.items():
                self._take(sha256(name), size)
            self._disk.sync_everything(self._directory)
        self._is_kept = True
        # What is on the disk now is counted there.
        self._share.release()

    def discard(self) -> None:
        self._share.release()
        self._staging.remove_tree(self._directory)

    def _path(self, digest: Digest) -> str:
        return self._front + digest.hex

    def _is_new(self, digest: Digest, size: int) -> bool:
        if digest.hex in self._waiting or digest.hex in self._known:
            return False
        if self._names.size(digest) != size:
            return True
        # The empty blob always stays.
        if size and not self._names.pin(digest, self._path(digest)):
            return True
        self._known.add(digest.hex)
        return False

    def _take(self, digest: Digest, size: int) -> None:
        source = self._path(digest)
        for _ in range(ATTEMPTS):
            if self._names.take_at_once(digest, size, source) or self._pin_instead(digest):
                return
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)

    def _pin_instead(self, digest: Digest) -> bool:
        """Somebody was faster with the same bytes: it is theirs that must stay."""
        pin = f"{self._path(digest)}~"
        if not self._names.pin(digest, pin):
            return False
        Path(self._path(digest)).unlink()
        return True
