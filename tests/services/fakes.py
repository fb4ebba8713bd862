"""Ports that write down what they are asked to do, and can refuse it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from httpbucket.domain.digest import Digest
from httpbucket.domain.upload import Record
from httpbucket.storage.base import BlobBatch, KnownBlob, Manifest, StagedFile
from httpbucket.storage.memory import MemoryBlobStore, MemoryIndex, MemoryRecords


class Journal:
    """The order in which things were done; ``refusals`` maps a step to what it raises."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.refusals: dict[str, Exception] = {}

    def note(self, step: str) -> None:
        """Write the step down, or raise its refusal."""
        self.steps.append(step)
        if step in self.refusals:
            raise self.refusals[step]


class RecordingBlobStore(MemoryBlobStore):
    """Blobs in memory."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal

    def keep(self, staged: StagedFile, digest: Digest) -> bool:
        self._journal.note("keep blob")
        return super().keep(staged, digest)


class RecordingRecords(MemoryRecords):
    """Records in memory."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal

    def publish(self, record: Record, members: BlobBatch | None = None) -> None:
        self._journal.note("publish record")
        super().publish(record, members)


class RecordingIndex(MemoryIndex):
    """An index in memory; ``refusal`` is its answer to all, ``lease_refusal`` only to leases."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal
        self.refusal: Exception | None = None
        self.lease_refusal: Exception | None = None
        self.describe_refusal: Exception | None = None

    def add(self, record: Record, manifest: Manifest | None) -> None:
        self._journal.note("add to index")
        super().add(record, manifest)

    def find(self, digest: Digest) -> tuple[Digest, ...]:
        if self.refusal:
            raise self.refusal
        return super().find(digest)

    def describe(self, blob: Digest) -> KnownBlob | None:
        if self.describe_refusal:
            raise self.describe_refusal
        return super().describe(blob)

    def find_many(self, algorithm: str, values: Collection[bytes]) -> list[tuple[bytes, bytes]]:
        if self.refusal:
            raise self.refusal
        return super().find_many(algorithm, values)

    def lease(
        self,
        blobs: Collection[bytes],
        *,
        at_least: datetime,
        until: datetime,
        despite_uploads: bool = False,
    ) -> bool:
        if refusal := self.refusal or self.lease_refusal:
            raise refusal
        return super().lease(blobs, at_least=at_least, until=until, despite_uploads=despite_uploads)

    def is_complete(self) -> bool:
        if self.refusal:
            raise self.refusal
        return super().is_complete()
