"""Many contents that become blobs together."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.digest import EMPTY, Digest, sha256
from httpbucket.storage.base import StagedFile
from httpbucket.storage.local.blob_names import ATTEMPTS, BlobNames
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.scribe import Scribe, Scribes, Task, Work
from httpbucket.storage.local.staged_file import LocalStagedFile
from httpbucket.storage.local.staging import LocalStaging
from httpbucket.storage.local.waiting_contents import WaitingContents

#: What a small file takes on most disks; so many of them are looked at together, inodes too.
_LEAST_ROOM = 4096


class LocalBlobBatch:
    """A staging directory in which every content has a link, under the blob's name or in a tree.

    New contents wait there until all are synced. From the moment that a content is taken until the
    batch is discarded, or its tree published, its link keeps the blob from being freed.
    """

    def __init__(
        self,
        disk: Disk,
        staging: LocalStaging,
        names: BlobNames,
        scribes: Scribes | None = None,
    ) -> None:
        self._disk = disk
        self._names = names
        self._staging = staging
        self._scribes = scribes
        self._share = staging.share()
        with told_as_refusals():
            self._directory = staging.directory(f"batch-{secrets.token_hex(8)}")
        self._waiting = WaitingContents(disk, str(self._directory), self._scribe_of_files)
        self._tree = self._waiting.tree
        self._known: set[str] = set()
        self._is_kept = False

    def add_bytes(self, content: bytes, digest: Digest, path: str = "") -> bool:
        with told_as_refusals():
            is_new = self._is_new(digest, len(content), path)
            if is_new:
                self._share.take(max(len(content), _LEAST_ROOM))
                self._waiting.write(content, digest, path)
        return is_new

    def add_staged(self, staged: StagedFile, digest: Digest, path: str = "") -> bool:
        assert isinstance(staged, LocalStagedFile), "a staged file of another backend"
        with told_as_refusals():
            is_new = self._is_new(digest, staged.size, path)
            if is_new:
                staged.make_readable()
                self._waiting.make(digest, path, staged.link)
        staged.discard()
        return is_new

    def hold(self, digest: Digest) -> bool:
        # The empty blob always stays.
        if digest == EMPTY or digest.hex in self._waiting or digest.hex in self._known:
            return True
        with told_as_refusals():
            is_held = self._names.pin(digest, self._waiting.path(digest))
        if is_held:
            self._known.add(digest.hex)
        return is_held

    def open(self, digest: Digest) -> BinaryIO:
        with told_as_refusals():
            self._waiting.settle()
        try:
            with told_as_refusals(but=FileNotFoundError):
                return Path(self._waiting.source(digest)).open("rb")
        except FileNotFoundError:
            return self._names.open(digest)

    def forget(self, digest: Digest) -> None:
        if digest.hex in self._waiting:
            with told_as_refusals():
                self._waiting.settle()
                self._waiting.forget(digest)

    def settle(self, lacking: Collection[str] | None) -> None:
        with told_as_refusals():
            self._waiting.settle()
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
            self._waiting.settle()
            self._disk.sync_everything(self._directory)
            self._take_all()
            self._disk.sync_everything(self._directory)
        self._is_kept = True
        # What is on the disk now is counted there.
        self._share.release()

    def discard(self) -> None:
        self._waiting.close()
        self._share.release()
        self._staging.remove_tree(self._directory)

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
        if size and not self._names.pin(digest, self._waiting.path(digest)):
            return False
        self._known.add(digest.hex)
        return True

    def _scribe_of_files(self, waiting: int) -> Scribe | None:
        scribes = self._scribes
        # Another batch may have the only one; so it is asked for again after as many contents.
        if not scribes or not waiting or waiting % scribes.least or not self._tree.keeps_modes:
            return None
        return scribes.start(Work.FILES, self._staging.lock)

    def _scribe_of_links(self) -> AbstractContextManager[Scribe | None]:
        scribes = self._scribes
        if not scribes or len(self._waiting) < scribes.least or not self._tree.keeps_modes:
            return nullcontext()
        return scribes.at_work(Work.LINKS, self._staging.lock)

    def _take_all(self) -> None:
        with self._scribe_of_links() as scribe:
            for digest in map(sha256, self._waiting.names):
                if scribe and scribe.give(self._link(digest)):
                    self._take_undone(scribe)
                else:
                    self._take(digest)
            if scribe:
                scribe.finish()
                self._take_undone(scribe)

    def _take_undone(self, scribe: Scribe) -> None:
        for task in scribe.take_undone():
            self._take(sha256(task.name))

    def _link(self, digest: Digest) -> Task:
        return Task(digest.hex, self._names.path(digest), self._waiting.source(digest))

    def _take(self, digest: Digest) -> None:
        source, keeps_modes = self._waiting.source(digest), self._tree.keeps_modes
        for _ in range(ATTEMPTS):
            is_taken = self._names.take_at_once(digest, source, keeps_modes=keeps_modes)
            if is_taken or self._pin_instead(digest):
                return
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)

    def _pin_instead(self, digest: Digest) -> bool:
        """Somebody was faster with the same bytes: it is theirs that must stay."""
        pin = f"{self._waiting.path(digest)}~"
        if not self._names.pin(digest, pin):
            return False
        self._waiting.give_way(digest)
        return True
