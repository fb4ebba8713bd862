"""Names that show their blobs again: what is to be read is read first, and only then is locked.

An upload's own names are changed under the lock of the records, and those of a replica while its
directory is held: who removes either changes the record under the same lock first. So what the
record names then may be made again, and nothing that it named before.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound, ContentVanished
from httpbucket.domain.upload import Record, Replica, UploadId
from httpbucket.storage.base import Relinked
from httpbucket.storage.local.blob_files import files_of
from httpbucket.storage.local.layout import PUBLIC_DIRECTORY_MODE, RECORD_NAME
from httpbucket.storage.local.locks import locked
from httpbucket.storage.local.public_names import PublicNames
from httpbucket.storage.local.records import LOCK_SECONDS
from httpbucket.storage.local.replicas import LocalReplicas
from httpbucket.storage.local.rereading import is_whole
from httpbucket.storage.local.wanted_names import WantedName, names_of_replica, names_of_upload


@dataclass
class _Work:
    """What one call found out: blobs whose bytes were read and are right, and what was done."""

    right: set[Digest] = field(default_factory=set)
    names: int = 0
    blobs: int = 0
    lost: list[str] = field(default_factory=list)


class Relinking:
    """Gives names the blobs that they should show, one name at a time."""

    def __init__(
        self,
        names: PublicNames,
        replicas: LocalReplicas,
        *,
        drop_rotten_siblings: Callable[[Digest], int],
    ) -> None:
        self._names = names
        self._layout = names.layout
        self._disk = names.disk
        self._replicas = replicas
        self._drop_rotten_siblings = drop_rotten_siblings

    def relink(self, upload: UploadId) -> Relinked:
        """As `Repair.relink`."""
        work = _Work()
        if record := self._record(upload):
            for name in names_of_upload(record, self._names.trees):
                self._relink(name, work)
            for replica in record.replicas:
                self._relink_replica(record, replica, work)
        return Relinked(work.names, work.blobs, tuple(work.lost))

    def _record(self, upload: UploadId) -> Record | None:
        """The record as it is now; None when it was removed."""
        with suppress(FileNotFoundError):
            return Record.from_bytes((self._layout.upload(upload) / RECORD_NAME).read_bytes())
        return None

    def _relink_replica(self, record: Record, replica: Replica, work: _Work) -> None:
        if not self._is_missing(replica):
            for name in names_of_replica(record, replica, self._names.trees):
                self._relink(name, work)
            return
        names = [*names_of_replica(record, replica, self._names.trees)]
        if lost := [name.path for name in names if not self._has_blob(name, work)]:
            # Half a tree would pass for a whole one.
            work.lost += lost
            return
        with self._replicas.hold({replica.directory}):
            now = self._record(record.id)
            if now and _names(now, replica) and self._is_missing(replica):
                # What vanished just now is the next repair's.
                with suppress(BlobNotFound, ContentVanished, ValueError):
                    self._replicas.remake(now, replica)
                    work.names += len(names)

    def _is_missing(self, replica: Replica) -> bool:
        return not os.path.lexists(self._layout.root / replica.path)

    def _relink(self, name: WantedName, work: _Work) -> None:
        if self._is_right(name):
            return
        if not self._has_blob(name, work):
            work.lost.append(name.path)
            return
        with ExitStack() as made, self._guarded(name) as is_named:
            if not is_named or self._is_right(name):
                return
            directory = made.enter_context(self._names.made(name.directory))
            with suppress(ContentVanished):
                self._names.show(name.last, name.blob, directory=directory)
            # Others need not wait for the disk, which comes last.
        work.names += 1

    @contextmanager
    def _guarded(self, name: WantedName) -> Iterator[bool]:
        """Whether the record has the name, which nobody takes away meanwhile."""
        with ExitStack() as locks:
            if name.replica:
                locks.enter_context(self._replicas.hold({name.replica.directory}))
            else:
                lock = self._layout.records_lock
                locks.enter_context(locked(lock, seconds=LOCK_SECONDS))
            record = self._record(name.upload)
            yield record is not None and (name.replica is None or _names(record, name.replica))

    def _is_right(self, name: WantedName) -> bool:
        """Whether the name is a link to the blob or to a sibling of it."""
        try:
            with self._names.opened(name.directory) as directory:
                found = os.stat(name.last, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(found.st_mode):
            return False
        if name.blob.size == 0:
            return found.st_size == 0
        return found.st_ino in self._inodes(name.blob.sha256)

    def _inodes(self, blob: Digest) -> Iterator[int]:
        for path in files_of(self._layout, blob):
            with suppress(FileNotFoundError):
                yield path.stat().st_ino

    def _has_blob(self, name: WantedName, work: _Work) -> bool:
        """Whether the blob is there and right, or could be made again from the name."""
        blob = name.blob.sha256
        if name.blob.size == 0:
            return True
        path = self._layout.blob(blob)
        if not path.exists():
            return self._make_again(name, work)
        if blob not in work.right:
            with path.open("rb") as reader:
                if not is_whole(reader, blob):
                    return False
            # One of them may be what the name becomes a link to.
            self._drop_rotten_siblings(blob)
            work.right.add(blob)
        return True

    def _make_again(self, name: WantedName, work: _Work) -> bool:
        with suppress(FileNotFoundError), self._names.opened(name.directory) as directory:
            descriptor = os.open(name.last, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
            with os.fdopen(descriptor, "rb") as reader:
                if not is_whole(reader, name.blob.sha256):
                    return False
                with self._guarded(name) as is_named:
                    found = os.stat(name.last, dir_fd=directory, follow_symlinks=False)
                    if not is_named or not os.path.samestat(found, os.fstat(descriptor)):
                        return False
                    self._become_blob(name, directory)
            work.right.add(name.blob.sha256)
            work.blobs += 1
            return True
        return False

    def _become_blob(self, name: WantedName, directory: int) -> None:
        path = self._layout.blob(name.blob.sha256)
        # Whoever removed the blobs may have removed their directories.
        self._disk.make_missing_directory(
            path.parent, PUBLIC_DIRECTORY_MODE, below=self._layout.blobs
        )
        with suppress(FileExistsError):
            os.link(name.last, path, src_dir_fd=directory, follow_symlinks=False)
        self._disk.sync_directory(path.parent)


def _names(record: Record, replica: Replica) -> bool:
    return any(one.path == replica.path for one in record.replicas)
