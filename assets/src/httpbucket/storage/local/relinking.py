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
from pathlib import Path

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound, ContentVanished
from httpbucket.domain.upload import Record, Replica, Tree, UploadId
from httpbucket.storage.base import Relinked, TreeStore
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import (
    MANIFEST_NAME,
    PUBLIC_DIRECTORY_MODE,
    RECORD_NAME,
    Layout,
)
from httpbucket.storage.local.links import Linker, opened_directory
from httpbucket.storage.local.locks import locked
from httpbucket.storage.local.records import LOCK_SECONDS
from httpbucket.storage.local.replicas import LocalReplicas
from httpbucket.storage.local.rereading import files_of, is_whole
from httpbucket.storage.local.staging import LocalStaging


@dataclass(frozen=True)
class _Name:
    """A path that should show a blob; ``replica`` is the one that it belongs to, if any."""

    upload: UploadId
    path: str
    blob: Descriptor
    replica: Replica | None = None

    @property
    def parents(self) -> list[str]:
        return self.path.split("/")[:-1]

    @property
    def last(self) -> str:
        return self.path.rpartition("/")[2]


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
        layout: Layout,
        disk: Disk,
        *,
        staging: LocalStaging,
        linker: Linker,
        trees: TreeStore,
        replicas: LocalReplicas,
        drop_rotten_siblings: Callable[[Digest], int],
    ) -> None:
        self._layout = layout
        self._disk = disk
        self._staging = staging
        self._linker = linker
        self._trees = trees
        self._replicas = replicas
        self._drop_rotten_siblings = drop_rotten_siblings

    def relink(self, upload: UploadId) -> Relinked:
        """As `Repair.relink`."""
        work = _Work()
        if record := self._record(upload):
            for name in self._names_of_upload(record):
                self._relink(name, work)
            for replica in record.replicas:
                self._relink_replica(record, replica, work)
        return Relinked(work.names, work.blobs, tuple(work.lost))

    def _record(self, upload: UploadId) -> Record | None:
        """The record as it is now; None when it was removed."""
        with suppress(FileNotFoundError):
            return Record.from_bytes((self._layout.upload(upload) / RECORD_NAME).read_bytes())
        return None

    def _names_of_upload(self, record: Record) -> Iterator[_Name]:
        if record.tree:
            # First, for the other names of the tree are read from it.
            manifest = f"{record.id.directory}/{MANIFEST_NAME}"
            yield _Name(record.id, manifest, record.tree.manifest)
            for path, blob in self._members(record.tree, record.path_of(record.tree.name)):
                yield _Name(record.id, path, blob)
        for named in record.named_blobs():
            yield _Name(record.id, record.path_of(named.name), named.blob)

    def _names_of_replica(self, record: Record, replica: Replica) -> Iterator[_Name]:
        if named := record.named_part(replica.part):
            yield _Name(record.id, replica.path, named.blob, replica)
        elif record.tree:
            for path, blob in self._members(record.tree, replica.path):
                yield _Name(record.id, path, blob, replica)

    def _members(self, tree: Tree, path: str) -> Iterator[tuple[str, Descriptor]]:
        # A manifest that is gone or rotten leaves nothing to go by; scrub tells of it.
        with suppress(BlobNotFound, ValueError), self._trees.load(tree.manifest.sha256) as manifest:
            for entry in manifest.entries:
                if entry.blob:
                    yield f"{path}/{entry.path}", entry.blob

    def _relink_replica(self, record: Record, replica: Replica, work: _Work) -> None:
        if not self._is_missing(replica):
            for name in self._names_of_replica(record, replica):
                self._relink(name, work)
            return
        names = [*self._names_of_replica(record, replica)]
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

    def _relink(self, name: _Name, work: _Work) -> None:
        if self._is_right(name):
            return
        if not self._has_blob(name, work):
            work.lost.append(name.path)
            return
        with self._guarded(name) as is_named:
            if not is_named or self._is_right(name):
                return
            directory = self._disk.open_below(
                self._layout.root, name.parents, PUBLIC_DIRECTORY_MODE
            )
            try:
                self._replace(name, directory)
            except BaseException:
                os.close(directory)
                raise
        try:
            # Others need not wait for the disk.
            self._disk.sync_file(directory)
        finally:
            os.close(directory)
        work.names += 1

    @contextmanager
    def _guarded(self, name: _Name) -> Iterator[bool]:
        """Whether the record has the name, which nobody takes away meanwhile."""
        with ExitStack() as locks:
            if name.replica:
                locks.enter_context(self._replicas.hold({name.replica.directory}))
            else:
                lock = self._layout.records_lock
                locks.enter_context(locked(lock, seconds=LOCK_SECONDS))
            record = self._record(name.upload)
            yield record is not None and (name.replica is None or _names(record, name.replica))

    def _is_right(self, name: _Name) -> bool:
        """Whether the name is a link to the blob or to a sibling of it."""
        try:
            with _opened(self._layout.root, name.parents) as directory:
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

    def _has_blob(self, name: _Name, work: _Work) -> bool:
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

    def _make_again(self, name: _Name, work: _Work) -> bool:
        with suppress(FileNotFoundError), _opened(self._layout.root, name.parents) as directory:
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

    def _become_blob(self, name: _Name, directory: int) -> None:
        path = self._layout.blob(name.blob.sha256)
        # Whoever removed the blobs may have removed their directories.
        self._disk.make_missing_directory(
            path.parent, PUBLIC_DIRECTORY_MODE, below=self._layout.blobs
        )
        with suppress(FileExistsError):
            os.link(name.last, path, src_dir_fd=directory, follow_symlinks=False)
        self._disk.sync_directory(path.parent)

    def _replace(self, name: _Name, directory: int) -> None:
        """In one step, so that a reader sees the old bytes or the right ones."""
        own = self._staging.directory(f"relink-{name.blob.sha256.hex[:16]}-{os.getpid()}")
        try:
            with opened_directory(own) as below:
                self._linker.name(name.blob, "name", directory=below)
            self._disk.rename(own / "name", name.last, directory=directory)
        except ContentVanished:
            return
        finally:
            with suppress(FileNotFoundError):
                (own / "name").unlink()
            own.rmdir()


def _names(record: Record, replica: Replica) -> bool:
    return any(one.path == replica.path for one in record.replicas)


@contextmanager
def _opened(root: Path, parts: list[str]) -> Iterator[int]:
    """The directory's descriptor; no symlink below ``root`` is followed."""
    with ExitStack() as opened:
        innermost = opened.enter_context(opened_directory(root.resolve()))
        for part in parts:
            innermost = opened.enter_context(opened_directory(part, below=innermost))
        yield innermost
