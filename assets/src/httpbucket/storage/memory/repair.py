"""Repair in memory, where every name shows its blob by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from httpbucket.domain.digest import Digest
from httpbucket.domain.upload import Record
from httpbucket.storage.base import Relinked
from httpbucket.storage.memory.blobs import MemoryBlobStore


class MemoryRepair:
    """Quarantine in a dictionary."""

    def __init__(self, blobs: MemoryBlobStore) -> None:
        self._blobs = blobs
        self._aside: dict[Digest, bytes] = {}

    def quarantine(self, blob: Digest) -> None:
        content = self._blobs.take_out(blob)
        if content is not None:
            self._aside[blob] = content

    def quarantine_siblings(
        self, blob: Digest, on_piece: Callable[[int], None] = lambda size: None
    ) -> int:
        return 0

    def quarantined(self) -> Iterator[Digest]:
        return iter(list(self._aside))

    def release(self, blob: Digest) -> None:
        self._aside.pop(blob, None)

    def relink(self, record: Record) -> Relinked:
        return Relinked()
