"""A bench to upload archive files at: all services, in memory, counting what they do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import BinaryIO

from httpbucket.config import Settings
from httpbucket.domain.digest import Digest
from httpbucket.domain.unpacking import UnpackWish
from httpbucket.domain.upload import Receipt, Record
from httpbucket.services.ingest import Ingest
from httpbucket.storage.base import BlobBatch, StagedFile
from httpbucket.storage.memory import (
    MemoryBlobStore,
    MemoryIndex,
    MemoryRecords,
    MemoryStaging,
)
from httpbucket.wiring import build
from tests.backends import memory_stores
from tests.builders import COMPRESSORS, ZipEntry, tar, tar_member, zip_file
from tests.examples import NOW, identity
from tests.uploading import upload_file

MEMBERS = {"report/index.html": b"<html>" * 300, "report/données.txt": b"caf\xc3\xa9", "empty": b""}

TAR = tar(*(tar_member(name, content) for name, content in MEMBERS.items()))
ZIP = zip_file(*(ZipEntry(name, content) for name, content in MEMBERS.items()))

#: A tar of each compression, by the suffix that such files have.
COMPRESSED_TARS = {
    ".tgz": COMPRESSORS["gzip"](TAR),
    ".tbz2": COMPRESSORS["bzip2"](TAR),
    ".txz": COMPRESSORS["xz"](TAR),
    ".tar.zst": COMPRESSORS["zstd"](TAR),
}
TGZ = COMPRESSED_TARS[".tgz"]


class CountingBlobStore(MemoryBlobStore):
    """Counts the batches that were begun, and notes which blobs were read."""

    def __init__(self) -> None:
        super().__init__()
        self.batches = 0
        self.read: list[Digest] = []

    def batch(self) -> BlobBatch:
        self.batches += 1
        return super().batch()

    def open(self, digest: Digest) -> BinaryIO:
        self.read.append(digest)
        return super().open(digest)

    def damage(self, digest: Digest, content: bytes | None) -> None:
        """Put other bytes in a blob's place, or nothing."""
        if content is None:
            del self._blobs[digest]
        else:
            self._blobs[digest] = content


class CountingStaging(MemoryStaging):
    """Counts the files that were staged."""

    def __init__(self) -> None:
        super().__init__()
        self.created = 0

    def create(self, *, size: int = 0) -> StagedFile:
        self.created += 1
        return super().create()


class ForgetfulRecords(MemoryRecords):
    """Records that can be lost."""

    def replace(self, record: Record, text: bytes | None) -> None:
        """Put other bytes in a record's place, or nothing."""
        if text is None:
            del self._records[record.id]
        else:
            self._records[record.id] = text


class Bench:
    """Ingest with all that it needs. ``settings`` are variables of the environment."""

    def __init__(self, **settings: str) -> None:
        self.staging = CountingStaging()
        self.blobs = CountingBlobStore()
        self.records = ForgetfulRecords()
        self.index = MemoryIndex()
        self.stores = memory_stores(
            staging=self.staging, blobs=self.blobs, records=self.records, index=self.index
        )
        self.trees = self.stores.trees
        self._numbers = itertools.count(1)
        self.ingest = self.restarted(**settings)

    def restarted(self, **settings: str) -> Ingest:
        """Ingest anew on the same stores, under other settings."""
        self.settings = Settings.from_environ(settings)
        self.services = build(
            self.settings, self.stores, now=lambda: NOW, random_bits=lambda: next(self._numbers)
        )
        self.ingest = self.services.ingest
        return self.ingest

    def upload(
        self,
        content: bytes,
        filename: str,
        wish: UnpackWish = UnpackWish.AUTO,
        *,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> Receipt:
        """An act of one file."""
        return upload_file(self.ingest, content, filename, wish=wish, is_gone=is_gone)

    def tree(self, record: Record) -> dict[str, bytes | None]:
        """The files of the upload's tree by path; None for an empty directory."""
        assert record.tree is not None, record.findings
        with self.trees.load(record.tree.manifest.sha256) as manifest:
            entries = list(manifest.entries)
        return {one.path: self.content(one.blob.sha256) if one.blob else None for one in entries}

    def content(self, digest: Digest) -> bytes:
        """The bytes of a blob."""
        with self.blobs.open(digest) as reader:
            return reader.read()

    def kept(self) -> set[Digest]:
        """Every blob, without the empty one, which is always there."""
        return {*self.blobs.digests()} - {identity(b"")}


def problems(record: Record) -> list[str]:
    """The short names of the findings."""
    return [finding.problem for finding in record.findings]
