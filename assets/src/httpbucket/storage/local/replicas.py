"""Replicas as hardlinks and trees of hardlinks, with symlinks to the latest.

A lock covers number, publication and ``latest`` of a directory. What is to be made stands in
``private/redo/<upload>-<directory's digest>`` from before the record is published until it is made;
whoever has the lock and finds such a file knows that its writer died. A file there outlives power
loss only while nothing was published in that directory since, because every later one syncs
``private/redo`` as well; so making it again never moves ``latest`` back.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from httpbucket.domain.errors import UploadNotFound
from httpbucket.domain.upload import Record, Replica, UploadId
from httpbucket.storage.base import HeldDirectories, Records, TreeStore
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import BLOB_MODE, PUBLIC_DIRECTORY_MODE, Layout
from httpbucket.storage.local.links import Linker, opened_directory
from httpbucket.storage.local.locks import locked
from httpbucket.storage.local.staging import LocalStaging

_DIGEST_DIGITS = 16
#: Lock files would be as many as replica directories; two that share one only wait for each other.
_STRIPE_DIGITS = 2


class LocalReplicas:
    """Replica directories below ``replica/``."""

    def __init__(
        self,
        layout: Layout,
        disk: Disk,
        *,
        staging: LocalStaging,
        linker: Linker,
        trees: TreeStore,
        records: Records,
    ) -> None:
        self._layout = layout
        self._disk = disk
        self._staging = staging
        self._linker = linker
        self._trees = trees
        self._records = records

    @contextmanager
    def hold(self, directories: Collection[str]) -> Iterator[HeldDirectories]:
        # In one order everywhere, so that nobody waits for somebody who waits for him.
        stripes = sorted({_digest(directory)[:_STRIPE_DIGITS] for directory in directories})
        with ExitStack() as locks:
            with told_as_refusals():
                for stripe in stripes:
                    locks.enter_context(locked(self._layout.locks / f"replica-{stripe}"))
                for directory in directories:
                    self._finish(directory)
            held = _Held(self, self._layout)
            try:
                yield held
            finally:
                held.forget_unpublished()

    def finish(self) -> int:
        found = {path.name for path in self._layout.redo.iterdir()}
        uploads = {name.rpartition("-")[0] for name in found}
        for upload in uploads:
            with suppress(UploadNotFound, ValueError):
                record = self._records.load(UploadId.parse(upload))
                with self.hold({replica.directory for replica in record.replicas}):
                    found -= {path.name for path in _redo_files(self._layout, record)}
        for name in found:
            (self._layout.redo / name).unlink(missing_ok=True)
        return len(uploads)

    def announce(self, record: Record) -> None:
        """As `HeldDirectories.announce`."""
        with told_as_refusals():
            for path in _redo_files(self._layout, record):
                self._disk.write_new(path, b"", BLOB_MODE, sync=False)
            self._disk.sync_directory(self._layout.redo)

    def make(self, record: Record) -> None:
        """As `HeldDirectories.make`."""
        with told_as_refusals():
            for directory in dict.fromkeys(replica.directory for replica in record.replicas):
                self._make_in(directory, record)
            for path in _redo_files(self._layout, record):
                path.unlink(missing_ok=True)

    def _finish(self, directory: str) -> None:
        for path in self._layout.redo.glob(f"*-{_digest(directory)}"):
            with suppress(UploadNotFound):
                upload = UploadId.parse(path.name.rpartition("-")[0])
                self._make_in(directory, self._records.load(upload))
            path.unlink(missing_ok=True)

    def _make_in(self, directory: str, record: Record) -> None:
        parts = directory.split("/")[1:]
        descriptor = self._disk.open_below(self._layout.replicas, parts, PUBLIC_DIRECTORY_MODE)
        try:
            replicas = [one for one in record.replicas if one.directory == directory]
            for replica in replicas:
                with suppress(FileExistsError):
                    self._make(replica, record, descriptor)
            for replica in replicas:
                for link in replica.latest:
                    self._point(link, replica.name, descriptor)
            self._disk.sync_file(descriptor)
        finally:
            os.close(descriptor)

    def _make(self, replica: Replica, record: Record, directory: int) -> None:
        if replica.part == "tree":
            self._make_tree(replica.name, record, directory)
            return
        named = record.decompressed if replica.part == "decompressed" else record.uploaded
        if named:
            self._linker.name(named.blob, replica.name, directory=directory)

    def _make_tree(self, name: str, record: Record, directory: int) -> None:
        """Aside, then renamed: a reader sees all of it or nothing."""
        if not record.tree or _exists(name, directory):
            return
        aside = self._staging.unused_path()
        self._disk.make_directory(aside, PUBLIC_DIRECTORY_MODE)
        digest = record.tree.manifest.sha256
        with self._trees.load(digest) as manifest, opened_directory(aside) as below:
            self._linker.name_tree(manifest.entries, directory=below)
        self._disk.sync_everything(aside)
        self._disk.rename(aside, name, directory=directory)

    def _point(self, link: str, name: str, directory: int) -> None:
        aside = self._staging.unused_path()
        aside.symlink_to(name)
        self._disk.rename(aside, link, directory=directory)


class _Held:
    """The directories between `LocalReplicas.hold` and its end."""

    def __init__(self, replicas: LocalReplicas, layout: Layout) -> None:
        self._replicas = replicas
        self._layout = layout
        self._announced: Record | None = None

    def entries(self, directory: str) -> Collection[str]:
        try:
            return [path.name for path in (self._layout.root / directory).iterdir()]
        except FileNotFoundError:
            return ()

    def announce(self, record: Record) -> None:
        self._announced = record
        self._replicas.announce(record)

    def make(self, record: Record) -> None:
        self._replicas.make(record)

    def forget_unpublished(self) -> None:
        record = self._announced
        if record and not self._layout.upload(record.id).exists():
            for path in _redo_files(self._layout, record):
                path.unlink(missing_ok=True)


def _redo_files(layout: Layout, record: Record) -> list[Path]:
    directories = dict.fromkeys(replica.directory for replica in record.replicas)
    return [layout.redo / f"{record.id}-{_digest(directory)}" for directory in directories]


def _digest(directory: str) -> str:
    return hashlib.sha256(directory.encode()).hexdigest()[:_DIGEST_DIGITS]


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
