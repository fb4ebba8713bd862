"""What lies among the blobs, and notes, in memory."""

from __future__ import annotations

from collections.abc import Iterator

from httpbucket.domain.digest import Digest
from httpbucket.storage.base import Standing
from httpbucket.storage.memory.blobs import MemoryBlobStore


class MemorySurvey:
    """Every blob is one file without further names; strangers cannot come in."""

    def __init__(self, blobs: MemoryBlobStore) -> None:
        self._blobs = blobs

    def standing(self, blob: Digest) -> Standing | None:
        size = self._blobs.size(blob)
        return None if size is None else Standing(size, 1, 0, 0)

    def strangers(self) -> Iterator[str]:
        return iter(())


class MemoryNotes:
    """Texts in a dictionary."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def read(self, name: str) -> str:
        return self._texts.get(name, "")

    def write(self, name: str, text: str) -> None:
        self._texts[name] = text
