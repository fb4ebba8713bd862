"""Many contents that become blobs together."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.digest import EMPTY, Digest, sha256
from httpbucket.storage.base import StagedFile
from httpbucket.storage.local.blob_names import ATTEMPTS, BlobNames
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import BLOB_MODE
from httpbucket.storage.local.staged_file import LocalStagedFile
from httpbucket.storage.local.staged_trees import StagedTree
from httpbucket.storage.local.staging import LocalStaging

#: What a small file takes on most disks; so many of them are looked at together, inodes too.
_LEAST_ROOM = 4096

#: Another file has the path in the tree, or the part of a directory; or it is longer than the
#: system takes at once.
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG}


class LocalBlobBatch:
    """A staging directory in which every content has a link, under the blob's name or in a tree.

    New contents wait there until all are synced. From the moment that a content is taken until the
    batch is discarded, or its tree published, its link keeps the blob from being freed.
    """

    def __init__(self, disk: Disk, staging: LocalStaging, names: BlobNames) -> None:
        self._disk = disk
        self._names = names
        self._staging = staging
        self._share = staging.share()
        with told_as_refusals():
            self._directory = staging.directory(f"batch-{secrets.token_hex(8)}")
        self._front = f"{self._directory}/"
        self._tree = StagedTree(disk, str(self._directory))
        # Each with its path in the tree; none where it lies under the blob's name.
        self._waiting: dict[str, str] = {}
        self._known: set[str] = set()
        self._is_kept = False

    def add_bytes(self, content: bytes, digest: Digest, path: str = "") -> bool:
        def write(target: str) -> None:
            keeps_modes = self._tree.keeps_modes
            self._disk.write_new(target, content, BLOB_MODE, sync=False, keeps_modes=keeps_modes)

        with told_as_refusals():
            is_new = self._is_new(digest, len(content), path)
            if is_new:
                self._share.take(max(len(content), _LEAST_ROOM))
                self._waiting[digest.hex] = self._make(digest, path, write)
        return is_new

    def add_staged(self, staged: StagedFile, digest: Digest, path: str = "") -> bool:
        assert isinstance(staged, LocalStagedFile), "a staged file of another backend"
        with told_as_refusals():
            is_new = self._is_new(digest, staged.size, path)
            if is_new:
                staged.make_readable()
                self._waiting[digest.hex] = self._make(digest, path, staged.link)
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
                return Path(self._source(digest)).open("rb")
        except FileNotFoundError:
            return self._names.open(digest)

    def forget(self, digest: Digest) -> None:
        if digest.hex in self._waiting:
            with told_as_refusals():
                Path(self._source(digest)).unlink()
            del self._waiting[digest.hex]

    def settle(self, lacking: Collection[str] | None) -> None:
        self._tree.settle(lacking)

    def move_tree(self, target: Path) -> Collection[str] | None:
        """Publish the tree whose files were added, as the directory ``target``.

        Returns the paths that it lacks, which are to be linked; None when all of them are.
        """
        return self._tree.move(target) if self._is_kept else None

    def keep(self) -> None:
        if self._is_kept:
            return
        with told_as_refusals():
            self._disk.sync_everything(self._directory)
            for name in self._waiting:
                self._take(sha256(name))
            self._disk.sync_everything(self._directory)
        self._is_kept = True
        # What is on the disk now is counted there.
        self._share.release()

    def discard(self) -> None:
        self._share.release()
        self._staging.remove_tree(self._directory)

    def _path(self, digest: Digest) -> str:
        return self._front + digest.hex

    def _source(self, digest: Digest) -> str:
        """Where the content lies that waits, or is known."""
        path = self._waiting.get(digest.hex)
        return self._tree.path(path) if path else self._path(digest)

    def _is_new(self, digest: Digest, size: int, path: str) -> bool:
        is_known = digest.hex in self._waiting or digest.hex in self._known
        if not is_known and not self._pin_known(digest, size):
            return True
        if path:
            self._tree.lack(path)
        return False

    def _pin_known(self, digest: Digest, size: int) -> bool:
        if not self._names.seems_known(digest) or self._names.size(digest) != size:
            return False
        # The empty blob always stays.
        if size and not self._names.pin(digest, self._path(digest)):
            return False
        self._known.add(digest.hex)
        return True

    def _make(self, digest: Digest, path: str, make: Callable[[str], None]) -> str:
        """Make the file where the tree has it, if it can be there; its path in the tree if so."""
        if path:
            try:
                make(self._tree.place(path))
            except OSError as error:
                if error.errno not in _IN_THE_WAY:
                    raise
                self._tree.lack(path)
            else:
                return path
        make(self._path(digest))
        return ""

    def _take(self, digest: Digest) -> None:
        source, keeps_modes = self._source(digest), self._tree.keeps_modes
        for _ in range(ATTEMPTS):
            is_taken = self._names.take_at_once(digest, source, keeps_modes=keeps_modes)
            if is_taken or self._pin_instead(digest):
                return
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)

    def _pin_instead(self, digest: Digest) -> bool:
        """Somebody was faster with the same bytes: it is theirs that must stay."""
        pin = f"{self._path(digest)}~"
        if not self._names.pin(digest, pin):
            return False
        Path(self._source(digest)).unlink()
        if path := self._waiting[digest.hex]:
            self._tree.lack(path)
        return True
