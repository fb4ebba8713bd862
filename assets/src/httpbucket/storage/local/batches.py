"""Many contents that become blobs together."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Collection, Set
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.digest import EMPTY, Digest, sha256
from httpbucket.storage.base import StagedFile
from httpbucket.storage.local.blob_names import ATTEMPTS, BlobNames
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import BLOB_MODE
from httpbucket.storage.local.scribe import Scribe, Scribes, Task, Work
from httpbucket.storage.local.staged_trees import StagedTree
from httpbucket.storage.local.staging import LocalStagedFile, LocalStaging

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
        self._scribe: Scribe | None = None
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
        with told_as_refusals():
            is_new = self._is_new(digest, len(content), path)
            if is_new:
                self._share.take(max(len(content), _LEAST_ROOM))
                if not (path and self._hand_over(content, digest, path)):
                    self._write(content, digest, path)
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
        self._dismiss_scribe()
        try:
            with told_as_refusals(but=FileNotFoundError):
                return Path(self._source(digest)).open("rb")
        except FileNotFoundError:
            return self._names.open(digest)

    def forget(self, digest: Digest) -> None:
        self._dismiss_scribe()
        if digest.hex in self._waiting:
            with told_as_refusals():
                Path(self._source(digest)).unlink()
            del self._waiting[digest.hex]

    def settle(self, lacking: Collection[str] | None) -> None:
        self._dismiss_scribe()
        self._tree.settle(lacking)

    def move_tree(self, target: Path) -> Collection[str] | None:
        """Publish the tree whose files were added, as the directory ``target``.

        Returns the paths that it lacks, which are to be linked; None when all of them are.
        """
        return self._tree.move(target) if self._is_kept else None

    def keep(self) -> None:
        if self._is_kept:
            return
        self._dismiss_scribe()
        with told_as_refusals():
            self._disk.sync_everything(self._directory)
            self._take_all()
            self._disk.sync_everything(self._directory)
        self._is_kept = True
        # What is on the disk now is counted there.
        self._share.release()

    def discard(self) -> None:
        self._end_scribe()
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

    def _write(self, content: bytes, digest: Digest, path: str) -> None:
        def write(target: str) -> None:
            keeps_modes = self._tree.keeps_modes
            self._disk.write_new(target, content, BLOB_MODE, sync=False, keeps_modes=keeps_modes)

        self._waiting[digest.hex] = self._make(digest, path, write)

    def _hand_over(self, content: bytes, digest: Digest, path: str) -> bool:
        """Have a scribe write the file where the tree has it; False where that is done here."""
        scribe = self._scribe or self._start_scribe()
        if scribe is None:
            return False
        try:
            place = self._tree.place(path)
        except OSError:
            # Who writes the file here is told the same.
            return False
        is_given = scribe.give(Task(digest.hex, place, content))
        if is_given:
            self._waiting[digest.hex] = path
        self._take_back(scribe)
        return is_given

    def _start_scribe(self) -> Scribe | None:
        scribes, files = self._scribes, len(self._waiting)
        if scribes and files and files % scribes.least == 0 and self._tree.keeps_modes:
            self._scribe = scribes.start(Work.FILES, self._staging.lock)
        return self._scribe

    def _take_back(self, scribe: Scribe) -> None:
        """Write here what the scribe did not."""
        undone = [(task, self._waiting.pop(task.name)) for task in scribe.take_undone()]
        if scribe.is_dead:
            self._end_scribe()
            self._remove_remains({path for _, path in undone})
        for task, path in undone:
            assert isinstance(task.source, bytes), "a scribe that makes files"
            self._write(task.source, sha256(task.name), path)

    def _remove_remains(self, paths: Set[str]) -> None:
        """Remove what a scribe left that died; where others were before it, nothing is its own."""
        for path in paths - set(self._waiting.values()):
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                Path(self._tree.path(path)).unlink()

    def _dismiss_scribe(self) -> None:
        """Have every file where it is said to be."""
        if self._scribe:
            with told_as_refusals():
                self._scribe.finish()
                self._take_back(self._scribe)
            self._end_scribe()

    def _end_scribe(self) -> None:
        scribe, self._scribe = self._scribe, None
        if scribe:
            scribe.close()

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

    def _take_all(self) -> None:
        with self._scribe_of_links() as scribe:
            for name in self._waiting:
                if not (scribe and scribe.give(self._link(name))):
                    self._take(sha256(name))
            if scribe:
                scribe.finish()
                for task in scribe.take_undone():
                    self._take(sha256(task.name))

    def _scribe_of_links(self) -> AbstractContextManager[Scribe | None]:
        scribes = self._scribes
        if scribes and len(self._waiting) >= scribes.least and self._tree.keeps_modes:
            return scribes.at_work(Work.LINKS, self._staging.lock)
        return nullcontext()

    def _link(self, name: str) -> Task:
        digest = sha256(name)
        return Task(name, self._names.path(digest), self._source(digest))

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
