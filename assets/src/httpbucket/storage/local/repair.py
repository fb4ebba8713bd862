"""Repair of names and blobs, by reading what is there: the only part that trusts no link."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest, sha256
from httpbucket.domain.errors import BlobNotFound, ContentVanished
from httpbucket.domain.upload import Record, Tree
from httpbucket.storage.base import Relinked, TreeStore
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import (
    MANIFEST_NAME,
    PUBLIC_DIRECTORY_MODE,
    RECORD_NAME,
    Layout,
)
from httpbucket.storage.local.links import Linker
from httpbucket.storage.local.locks import locked
from httpbucket.storage.local.staging import LocalStaging

_SHA256 = re.compile(r"[0-9a-f]{64}")
_READ = 1024 * 1024


class LocalRepair:
    """Quarantine is ``private/quarantine/<sha256>``."""

    def __init__(
        self,
        layout: Layout,
        disk: Disk,
        *,
        staging: LocalStaging,
        linker: Linker,
        trees: TreeStore,
    ) -> None:
        self._layout = layout
        self._disk = disk
        self._staging = staging
        self._linker = linker
        self._trees = trees

    def quarantine(self, blob: Digest) -> None:
        path = self._layout.blob(blob)
        with told_as_refusals(), suppress(FileNotFoundError):
            self._disk.rename(path, self._layout.quarantine / blob.hex)
            self._disk.sync_directory(path.parent)
            self._disk.sync_directory(self._layout.quarantine)

    def quarantined(self) -> Iterator[Digest]:
        with told_as_refusals():
            for path in sorted(self._layout.quarantine.iterdir()):
                if _SHA256.fullmatch(path.name):
                    yield sha256(path.name)

    def release(self, blob: Digest) -> None:
        with told_as_refusals():
            (self._layout.quarantine / blob.hex).unlink(missing_ok=True)

    def relink(self, record: Record) -> Relinked:
        # Who removes an upload or one of its replicas changes its record under this lock first:
        # what the record names now may be made again, and nothing that it named before.
        with told_as_refusals(), locked(self._layout.records_lock):
            work = _Work()
            for path, blob in self._names_now(record):
                self._relink(path, blob, work)
            return Relinked(work.names, work.blobs, tuple(work.lost))

    def _names_now(self, record: Record) -> Iterator[tuple[str, Descriptor]]:
        """The names of the record as it is now; none when it was removed."""
        try:
            text = (self._layout.upload(record.id) / RECORD_NAME).read_bytes()
        except FileNotFoundError:
            return iter(())
        return self._names(Record.from_bytes(text))

    def _names(self, record: Record) -> Iterator[tuple[str, Descriptor]]:
        if record.tree:
            # First, for the other names of the tree are read from it.
            yield f"{record.id.directory}/{MANIFEST_NAME}", record.tree.manifest
            yield from self._members(record.tree, record.path_of(record.tree.name))
        for named in record.named_blobs():
            yield record.path_of(named.name), named.blob
        for replica in record.replicas:
            if named_part := record.named_part(replica.part):
                yield replica.path, named_part.blob
            elif record.tree:
                yield from self._members(record.tree, replica.path)

    def _members(self, tree: Tree, path: str) -> Iterator[tuple[str, Descriptor]]:
        # A manifest that is gone or rotten leaves nothing to go by; scrub tells of it.
        with suppress(BlobNotFound, ValueError), self._trees.load(tree.manifest.sha256) as manifest:
            for entry in manifest.entries:
                if entry.blob:
                    yield f"{path}/{entry.path}", entry.blob

    def _relink(self, path: str, blob: Descriptor, work: _Work) -> None:
        *parents, name = path.split("/")
        directory = self._disk.open_below(self._layout.root, parents, PUBLIC_DIRECTORY_MODE)
        try:
            if self._is_right(name, blob, directory):
                return
            if not self._has_blob(blob, name, directory, work):
                work.lost.append(path)
                return
            self._replace(name, blob, directory)
            work.names += 1
        finally:
            os.close(directory)

    def _is_right(self, name: str, blob: Descriptor, directory: int) -> bool:
        """Whether the name is a link to the blob or to a sibling of it."""
        found = _status(name, directory)
        if found is None or not stat.S_ISREG(found.st_mode):
            return False
        if blob.size == 0:
            return found.st_size == 0
        return found.st_ino in self._inodes(blob.sha256)

    def _inodes(self, blob: Digest) -> Iterator[int]:
        path = self._layout.blob(blob)
        for one in (path, *path.parent.glob(f"{path.name}~*")):
            with suppress(FileNotFoundError):
                yield one.stat().st_ino

    def _has_blob(self, blob: Descriptor, name: str, directory: int, work: _Work) -> bool:
        """Whether the blob is there and right, or could be made again from the name."""
        if blob.size == 0:
            return True
        path = self._layout.blob(blob.sha256)
        if blob.sha256 not in work.right and path.exists():
            with path.open("rb") as reader:
                if not _is(reader, blob):
                    return False
            work.right.add(blob.sha256)
        if path.exists():
            return True
        return self._make_again(blob, name, directory, work)

    def _make_again(self, blob: Descriptor, name: str, directory: int, work: _Work) -> bool:
        with suppress(FileNotFoundError):
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
            with os.fdopen(descriptor, "rb") as reader:
                if not _is(reader, blob):
                    return False
            path = self._layout.blob(blob.sha256)
            # Whoever removed the blobs may have removed their directories.
            self._disk.make_missing_directory(
                path.parent, PUBLIC_DIRECTORY_MODE, below=self._layout.blobs
            )
            with suppress(FileExistsError):
                os.link(name, path, src_dir_fd=directory, follow_symlinks=False)
            self._disk.sync_directory(path.parent)
            work.right.add(blob.sha256)
            work.blobs += 1
            return True
        return False

    def _replace(self, name: str, blob: Descriptor, directory: int) -> None:
        """In one step, so that a reader sees the old bytes or the right ones."""
        if self._is_right(name, blob, directory):
            return
        own = self._staging.directory(f"relink-{blob.sha256.hex[:16]}-{os.getpid()}")
        try:
            below = os.open(own, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self._linker.name(blob, "name", directory=below)
            finally:
                os.close(below)
            self._disk.rename(own / "name", name, directory=directory)
            self._disk.sync_file(directory)
        except ContentVanished:
            return
        finally:
            with suppress(FileNotFoundError):
                (own / "name").unlink()
            own.rmdir()


@dataclass
class _Work:
    """What one call found out: blobs whose bytes were read and are right, and what was done."""

    right: set[Digest] = field(default_factory=set)
    names: int = 0
    blobs: int = 0
    lost: list[str] = field(default_factory=list)


def _status(name: str, directory: int) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    return None


def _is(reader: BinaryIO, blob: Descriptor) -> bool:
    hasher = hashlib.sha256()
    while piece := reader.read(_READ):
        hasher.update(piece)
    return hasher.hexdigest() == blob.sha256.hex
