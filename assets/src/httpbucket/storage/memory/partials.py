"""Unfinished uploads in memory."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from httpbucket.domain.partial import PartialBusy, PartialId, PartialNotFound, PartialUpload
from httpbucket.domain.upload import UploadId
from httpbucket.storage.base import HeldPartial, StagedFile, Staging


@dataclass(eq=False)
class _Kept:
    partial: PartialUpload
    content: bytearray = field(default_factory=bytearray)
    modified: float = field(default_factory=time.time)
    lock: threading.Lock = field(default_factory=threading.Lock)
    let_go: Callable[[], None] = lambda: None


class MemoryPartialUploads:
    """Uploads in a dictionary; nothing outlives the process, so that there is nothing to doubt."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging
        self._kept: dict[PartialId, _Kept] = {}

    def create(self, partial: PartialUpload) -> None:
        self._kept[partial.id] = _Kept(partial)

    @contextmanager
    def hold(self, upload: PartialId, *, seconds: float) -> Iterator[HeldPartial]:
        kept = self._kept.get(upload)
        if kept is None:
            raise PartialNotFound(f"There is no unfinished upload {upload}.")
        kept.let_go()
        if not kept.lock.acquire(timeout=seconds):
            raise PartialBusy("Another request works on this upload; ask again in a few seconds.")
        try:
            if upload not in self._kept:
                raise PartialNotFound(f"There is no unfinished upload {upload}.")
            yield _MemoryPartial(kept, self._kept, self._staging)
        finally:
            kept.lock.release()

    def sweep(self) -> int:
        return 0

    def expire(self, before: float) -> int:
        idle = [upload for upload, kept in self._kept.items() if kept.modified < before]
        for upload in idle:
            del self._kept[upload]
        return len(idle)


class _MemoryPartial:
    def __init__(self, kept: _Kept, every: dict[PartialId, _Kept], staging: Staging) -> None:
        self._kept = kept
        self._every = every
        self._staging = staging

    @property
    def partial(self) -> PartialUpload:
        return self._kept.partial

    @property
    def size(self) -> int:
        return self.partial.length if self.partial.upload else len(self._kept.content)

    @property
    def modified(self) -> float:
        return self._kept.modified

    @contextmanager
    def when_wanted(self, let_go: Callable[[], None]) -> Iterator[None]:
        self._kept.let_go = let_go
        try:
            yield
        finally:
            self._kept.let_go = lambda: None

    def append(self, piece: bytes | bytearray | memoryview) -> None:
        self._kept.content += piece
        self._kept.modified = time.time()

    def doubt(self) -> None:
        pass

    def trust(self) -> None:
        pass

    def cut(self, size: int) -> None:
        del self._kept.content[size:]

    def sync(self) -> None:
        pass

    def open(self) -> BinaryIO:
        return io.BytesIO(self._kept.content)

    def staged(self) -> StagedFile:
        staged = self._staging.create()
        staged.write(self._kept.content)
        return staged

    def finish(self, upload: UploadId) -> None:
        self._kept.partial = replace(self._kept.partial, upload=upload)
        self._kept.content.clear()

    def remove(self) -> None:
        del self._every[self.partial.id]
