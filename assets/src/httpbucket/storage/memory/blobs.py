"""Staging and blobs in memory."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from httpbucket.domain.digest import EMPTY, Digest
from httpbucket.domain.errors import BlobNotFound
from httpbucket.storage.base import BlobBatch, StagedFile


class MemoryStagedFile:
    """Bytes on their way in; ``pin`` is let go with them."""

    def __init__(self, siblings: set[MemoryStagedFile]) -> None:
        self._bytes = bytearray()
        self._siblings = siblings
        self.pin = ExitStack()
        siblings.add(self)

    @property
    def size(self) -> int:
        return len(self._bytes)

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        self._bytes += piece

    def open(self) -> BinaryIO:
        return io.BytesIO(self._bytes)

    def rest(self) -> None:
        pass

    def discard(self) -> None:
        self._siblings.discard(self)
        self.pin.close()


class MemoryStaging:
    """Staged files of this process alone, so that there is never anything to sweep."""

    def __init__(self) -> None:
        self.staged: set[MemoryStagedFile] = set()

    def create(self, *, size: int = 0) -> StagedFile:
        return MemoryStagedFile(self.staged)

    def sweep(self, *, idle_too: bool = True) -> int:
        return 0


class MemoryBlobBatch:
    """Contents that wait in a dictionary of their own."""

    def __init__(self, store: MemoryBlobStore) -> None:
        self._store = store
        self._waiting: dict[Digest, bytes] = {}
        self._pins = ExitStack()

    def add_bytes(self, content: bytes, digest: Digest, path: str = "") -> bool:
        is_new = self._store.size(digest) is None and digest not in self._waiting
        self._waiting[digest] = content
        self._pins.enter_context(self._store.pinned(digest))
        return is_new

    def add_staged(self, staged: StagedFile, digest: Digest, path: str = "") -> bool:
        is_new = self.add_bytes(_content_of(staged), digest)
        staged.discard()
        return is_new

    def hold(self, digest: Digest) -> bool:
        self._pins.enter_context(self._store.pinned(digest))
        return digest in self._waiting or self._store.size(digest) is not None

    def open(self, digest: Digest) -> BinaryIO:
        if digest in self._waiting:
            return io.BytesIO(self._waiting[digest])
        return self._store.open(digest)

    def forget(self, digest: Digest) -> None:
        self._waiting.pop(digest, None)

    def settle(self, lacking: Collection[str] | None) -> None:
        """Of trees there is nothing but their manifests."""

    def keep(self) -> None:
        for digest, content in self._waiting.items():
            self._store.put(digest, content)

    def discard(self) -> None:
        self._waiting.clear()
        self._pins.close()


class MemoryBlobStore:
    """Blobs in a dictionary. What records name it does not know: only what is held."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {EMPTY: b""}
        self._pins: Counter[Digest] = Counter()
        self._changed: dict[Digest, float] = {}

    def keep(self, staged: StagedFile, digest: Digest) -> bool:
        assert isinstance(staged, MemoryStagedFile), "a staged file of another backend"
        staged.pin.enter_context(self.pinned(digest))
        return self.put(digest, _content_of(staged))

    def put(self, digest: Digest, content: bytes) -> bool:
        """Make the content a blob; False when it was one."""
        is_new = digest not in self._blobs
        self._blobs.setdefault(digest, content)
        self._changed[digest] = time.time()
        return is_new

    def batch(self) -> BlobBatch:
        return MemoryBlobBatch(self)

    @contextmanager
    def hold(self, digest: Digest) -> Iterator[None]:
        with self.pinned(digest):
            if digest not in self._blobs:
                raise BlobNotFound(f"No blob {digest} is kept.")
            yield

    @contextmanager
    def pinned(self, digest: Digest) -> Iterator[None]:
        """Meanwhile the blob stays, once it is there."""
        self._pins[digest] += 1
        try:
            yield
        finally:
            self._pins[digest] -= 1

    def open(self, digest: Digest) -> BinaryIO:
        return _reader((self._blobs,), digest)

    def read_part(self, digest: Digest, start: int, size: int) -> bytes:
        with self.open(digest) as reader:
            reader.seek(start)
            return reader.read(size)

    def size(self, digest: Digest) -> int | None:
        content = self._blobs.get(digest)
        return None if content is None else len(content)

    def kept(self, values: Collection[bytes]) -> set[bytes]:
        return {value for value in values if Digest.of("sha256", value) in self._blobs}

    def digests(self, *, after: Digest | None = None) -> Iterator[Digest]:
        return iter(sorted(digest for digest in self._blobs if not after or digest > after))

    def free(
        self, digest: Digest, *, idle_since: float | None = None, dry_run: bool = False
    ) -> int | None:
        is_recent = idle_since is not None and self._changed.get(digest, 0) > idle_since
        if digest == EMPTY or self._pins[digest] or is_recent:
            return None
        content = self._blobs.get(digest, b"") if dry_run else self._blobs.pop(digest, b"")
        return len(content)

    def recover(self) -> int:
        return 0

    def sight(self, digest: Digest) -> None:
        return None

    def is_named(self, digest: Digest) -> bool | None:
        return None

    def take_out(self, digest: Digest) -> bytes | None:
        """The content, which is not kept any more; None when it was not."""
        return self._blobs.pop(digest, None)


def _reader(places: Iterable[Mapping[Digest, bytes]], digest: Digest) -> BinaryIO:
    for contents in places:
        if digest in contents:
            return io.BytesIO(contents[digest])
    raise BlobNotFound(f"No blob {digest} is kept.")


def _content_of(staged: StagedFile) -> bytes:
    with staged.open() as reader:
        return reader.read()
