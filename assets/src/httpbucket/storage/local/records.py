"""Uploads as directories: built aside, published by one rename, the record inside."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from httpbucket.domain.errors import UploadNotFound
from httpbucket.domain.upload import Record, Tree, UploadId
from httpbucket.storage.base import BlobBatch
from httpbucket.storage.local.aside import write_over
from httpbucket.storage.local.batches import LocalBlobBatch
from httpbucket.storage.local.disk import told_as_refusals
from httpbucket.storage.local.layout import (
    BLOB_MODE,
    MANIFEST_NAME,
    PUBLIC_DIRECTORY_MODE,
    RECORD_NAME,
)
from httpbucket.storage.local.links import opened_directory
from httpbucket.storage.local.locks import locked
from httpbucket.storage.local.public_names import PublicNames

#: It is held for a few system calls at a time, so that this is a store that stands still.
LOCK_SECONDS = 30.0

logger = logging.getLogger(__name__)


class LocalRecords:
    """``archive/<day>/<id>/.upload.json``; the rename of that directory is the commit point."""

    def __init__(self, names: PublicNames) -> None:
        self._layout = names.layout
        self._disk = names.disk
        self._staging = names.staging
        self._trees = names.trees
        self._linker = names.linker
        # Of the removed uploads that are damaged, which are met again and again.
        self._told: set[UploadId] = set()

    def publish(self, record: Record, members: BlobBatch | None = None) -> None:
        with told_as_refusals():
            # Nobody else comes into the staging: it may be public from the start.
            aside = self._staging.directory(str(record.id), PUBLIC_DIRECTORY_MODE)
            try:
                self._build(aside, record, members)
                self._appear(aside, self._layout.upload(record.id))
            except BaseException:
                self._staging.remove_tree(aside)
                raise

    def load(self, upload: UploadId) -> Record:
        return self._load(self._layout.upload(upload), upload)

    def has(self, upload: UploadId) -> bool:
        with told_as_refusals():
            # Text, because pathlib takes longer than the system.
            path = f"{self._layout.root}/{upload.directory}"
            return os.path.exists(path)  # noqa: PTH110

    def amend(self, upload: UploadId, change: Callable[[Record], Record]) -> Record:
        with self._alone():
            record = self.load(upload)
            amended = change(record)
            if amended != record:
                self._replace(self._layout.upload(upload), amended)
        return amended

    def remove(
        self, upload: UploadId, *, only_if: Callable[[Record], bool] = lambda record: True
    ) -> Record | None:
        with self._alone():
            record = self.load(upload)
            if not only_if(record):
                return None
            self._disappear(self._layout.upload(upload), self._layout.trash / str(upload))
        return record

    def removed(self) -> Iterator[Record]:
        for upload in _ids_in(self._layout.trash):
            try:
                yield self._load(self._layout.trash / str(upload), upload)
            except UploadNotFound:
                # It was being forgotten, which is the end of removing it.
                self.forget(upload)
            except ValueError as error:
                if upload not in self._told:
                    logger.error("What is left of upload %s stays: %s", upload, error)
                self._told.add(upload)

    def forget(self, upload: UploadId) -> None:
        # What fails to go now is found again by `removed`.
        self._staging.remove_tree(self._layout.trash / str(upload))

    def ids(self, *, since_day: str = "") -> Iterator[UploadId]:
        with told_as_refusals():
            days = sorted(self._layout.archive.glob("*/*/*"))
        for day in days:
            if str(day.relative_to(self._layout.archive)) >= since_day:
                yield from _ids_in(day)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else changes a record that is published."""
        with told_as_refusals(), locked(self._layout.records_lock, seconds=LOCK_SECONDS):
            yield

    def _load(self, directory: Path, upload: UploadId) -> Record:
        try:
            with told_as_refusals(but=FileNotFoundError):
                text = (directory / RECORD_NAME).read_bytes()
        except FileNotFoundError:
            raise UploadNotFound(f"There is no upload {upload}.") from None
        return Record.from_bytes(text)

    def _replace(self, directory: Path, record: Record) -> None:
        path, text = directory / RECORD_NAME, record.to_bytes()
        write_over(path, text, BLOB_MODE, disk=self._disk, staging=self._staging)
        self._disk.sync_directory(directory)

    def _disappear(self, directory: Path, aside: Path) -> None:
        self._disk.rename(directory, aside)
        try:
            self._disk.sync_directory(aside.parent)
            self._disk.sync_directory(directory.parent)
        except OSError:
            self._disk.rename(aside, directory)
            raise

    def _build(self, aside: Path, record: Record, members: BlobBatch | None) -> None:
        places = self._make_folders(aside, record)
        with opened_directory(places[-1]) as directory:
            for named in record.named_blobs():
                self._linker.name(named.blob, named.name, directory=directory)
        if record.tree:
            with opened_directory(aside) as directory:
                self._linker.name(record.tree.manifest, MANIFEST_NAME, directory=directory)
            self._make_tree(record.tree, places[-1] / record.tree.name, members)
        self._disk.write_new(aside / RECORD_NAME, record.to_bytes(), BLOB_MODE)
        if record.tree:
            self._disk.sync_everything(aside)
        else:
            for place in reversed(places):
                self._disk.sync_directory(place)

    def _make_folders(self, aside: Path, record: Record) -> list[Path]:
        """The upload's directory, and those of its folder down to where its names lie."""
        places = [aside]
        for name in record.folder.split("/") if record.folder else ():
            places.append(places[-1] / name)
            self._disk.make_directory(places[-1], PUBLIC_DIRECTORY_MODE)
        return places

    def _make_tree(self, tree: Tree, root: Path, members: BlobBatch | None) -> None:
        lacking = members.move_tree(root) if isinstance(members, LocalBlobBatch) else None
        if lacking is None:
            self._disk.make_directory(root, PUBLIC_DIRECTORY_MODE)
        elif not lacking:
            return
        digest = tree.manifest.sha256
        with self._trees.load(digest) as manifest, opened_directory(root) as below:
            entries = (one for one in manifest.entries if lacking is None or one.path in lacking)
            self._linker.name_tree(entries, directory=below)

    def _appear(self, aside: Path, target: Path) -> None:
        mode, below = PUBLIC_DIRECTORY_MODE, self._layout.archive
        self._disk.ensure_directory(target.parent, mode, below=below)
        try:
            self._disk.rename(aside, target)
        except FileNotFoundError:
            self._disk.make_missing_directory(target.parent, mode, below=below)
            self._disk.rename(aside, target)
        try:
            self._disk.sync_directory(target.parent)
        except OSError:
            self._disk.rename(target, aside)
            raise


def _ids_in(day: Path) -> Iterator[UploadId]:
    """The uploads of a day; what else somebody put there is passed over."""
    names: list[str] = []
    gone = (NotADirectoryError, FileNotFoundError)
    with suppress(*gone), told_as_refusals(but=gone):
        names = sorted(path.name for path in day.iterdir())
    for name in names:
        with suppress(UploadNotFound):
            yield UploadId.parse(name)
