"""Bytes on their way in: staged, hashed and counted in one pass, and gone unless kept."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO, Protocol

from httpbucket.content.crew import Crew
from httpbucket.content.hashing import ContentHasher, Hasher
from httpbucket.content.media_type import HEAD_BYTES
from httpbucket.content.parallel_hashing import ParallelHasher
from httpbucket.content.spare_memory import SpareMemory
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest, sha256
from httpbucket.domain.errors import TooLarge
from httpbucket.domain.packed import Packing
from httpbucket.storage.base import BlobBatch, BlobStore, StagedFile, Staging

#: Files after the first wait in memory up to this size, one at a time.
SMALL_BYTES = 64 * 1024

#: Bodies from this size on are worth larger pieces, and may come in spare memory.
LARGE_BYTES = 2 * 1024**2


class Content(Protocol):
    """The bytes of one file that a client brings, all of them there."""

    @property
    def head(self) -> bytes:
        """The first bytes."""
        ...

    def describe(self, media_type_of: Callable[[bytes], str]) -> Descriptor:
        """What the content is."""
        ...

    def known_as(self, media_type: str) -> Descriptor:
        """The same, without looking at the content."""
        ...

    def open(self) -> BinaryIO:
        """A reader of the content. The caller closes it."""
        ...

    def keep(self, blobs: BlobStore, digest: Digest) -> bool:
        """Make it the blob ``digest``, its SHA-256; False when it was that already."""
        ...


class IncomingFile:
    """One file as it arrives. Form parsers write to it as to any binary file."""

    def __init__(
        self, create: Callable[[], StagedFile], hasher: Hasher, count: Callable[[int], None]
    ) -> None:
        self.hasher = hasher
        self._create = create
        self._count = count
        self._staged: StagedFile | None = None
        self._small = bytearray()
        self._head = bytearray()

    @property
    def staged(self) -> StagedFile:
        """The bytes, staged now if they were not."""
        if self._staged is None:
            self._staged = self._create()
            self._staged.write(self._small)
            self._small = bytearray()
        return self._staged

    def write(self, piece: bytes | bytearray | memoryview) -> int:
        """Take the next bytes. Raises `TooLarge`, and what `StagedFile.write` raises."""
        self._count(len(piece))
        # In this order: a crew hashes while this thread writes.
        self.hasher.update(piece)
        if self._staged is None and len(self._small) + len(piece) <= SMALL_BYTES:
            self._small += piece
        else:
            self.staged.write(piece)
        if len(self._head) < HEAD_BYTES:
            self._head += piece[: HEAD_BYTES - len(self._head)]
        return len(piece)

    def describe(self, media_type_of: Callable[[bytes], str]) -> Descriptor:
        """What came, once all of it came."""
        return self.known_as(media_type_of(self.head))

    def known_as(self, media_type: str) -> Descriptor:
        """As `Content.known_as`."""
        hasher = self.hasher
        return Descriptor(hasher.digests(), hasher.size, hasher.crc32, media_type)

    @property
    def head(self) -> bytes:
        """The first bytes that came."""
        return bytes(self._head)

    def open(self) -> BinaryIO:
        """A reader of what came."""
        return io.BytesIO(self._small) if self._staged is None else self._staged.open()

    def keep(self, blobs: BlobStore, digest: Digest) -> bool:
        """As `BlobStore.keep`."""
        return blobs.keep(self.staged, digest)

    def add_to(self, batch: BlobBatch, digest: Digest) -> bool:
        """Have a batch take the bytes, whose SHA-256 is ``digest``; False as of `BlobBatch`."""
        if self._staged is None:
            return batch.add_bytes(bytes(self._small), digest)
        return batch.add_staged(self._staged, digest)

    def rest(self) -> None:
        """As `StagedFile.rest`."""
        if self._staged is not None:
            self._staged.rest()

    def close(self) -> None:
        """Forget the bytes; what they were kept as is no longer held."""
        self.hasher.close()
        self._small = bytearray()
        if self._staged is not None:
            self._staged.discard()


class WaitingFile:
    """A file that came whole and waits in a batch, where it takes neither descriptor nor bytes."""

    __slots__ = ("_batch", "_is_new", "_packed", "_packing")

    def __init__(self, incoming: IncomingFile, batch: BlobBatch, packing: Packing) -> None:
        hasher = incoming.hasher
        self._packing = packing
        digests = hasher.digests()
        self._packed = packing.pack(digests, hasher.size, hasher.crc32)
        self._batch = batch
        self._is_new = incoming.add_to(batch, sha256(digests["sha256"]))

    def describe(self, media_type_of: Callable[[bytes], str]) -> Descriptor:
        """As `Content.describe`."""
        return self.known_as(media_type_of(self.head))

    def known_as(self, media_type: str) -> Descriptor:
        """As `Content.known_as`."""
        return self._packing.unpack(self._packed, media_type)

    @property
    def head(self) -> bytes:
        """As `Content.head`."""
        with self.open() as reader:
            return reader.read(HEAD_BYTES)

    def open(self) -> BinaryIO:
        """As `Content.open`."""
        return self._batch.open(self.known_as("").sha256)

    def keep(self, blobs: BlobStore, digest: Digest) -> bool:
        """As `Content.keep`; all that wait in the batch are kept at once."""
        self._batch.keep()
        return self._is_new


class Act:
    """One client act: its files share one allowance, and go when it ends unless they were kept.

    With a ``crew`` large files are hashed beside being received. Files wait in a batch of
    ``blobs`` where there may be many of them. ``framing`` are bytes beyond the ``limit`` which are
    no file's.
    """

    def __init__(
        self,
        staging: Staging,
        digests: Sequence[str],
        *,
        limit: int | None = None,
        crew: Crew | None = None,
        framing: int = 0,
        blobs: BlobStore | None = None,
        memory: SpareMemory | None = None,
    ) -> None:
        self._memory = memory
        self._staging = staging
        self._digests = digests
        self._limit = limit
        self._crew = crew
        self._framing = framing
        self._blobs = blobs
        self._batch: BlobBatch | None = None
        self._received = 0
        self._files: list[IncomingFile] = []
        self._prepared: StagedFile | None = None

    def spare_memory(self) -> memoryview | None:
        """A piece to receive large bodies into; None when there is none to spare."""
        return self._memory.take() if self._memory else None

    def expect(self, size: int) -> None:
        """Refuse an act of ``size`` bytes before any of them is read. Raises `TooLarge`."""
        if self._limit is not None and size > self._limit + self._framing:
            raise TooLarge(self._limit)

    def compute(self, algorithms: Iterable[str]) -> None:
        """Compute these digests too, of the files that come from now on."""
        self._digests = (*dict.fromkeys((*self._digests, *algorithms)),)

    def reserve(self, size: int) -> None:
        """Set room aside for an act of ``size`` bytes, before any of them is read.

        Raises `StorageFull` when there is none.
        """
        self._prepared = self._prepared or self._staging.create(size=size)

    def new_file(self) -> IncomingFile:
        """A place for the next file of this act."""
        incoming = IncomingFile(self._create, self._new_hasher(), self._count)
        self._files.append(incoming)
        if len(self._files) == 1:
            # Most acts have one file: a full disk is told before its bytes are read.
            assert incoming.staged
        return incoming

    def put_aside(self, incoming: IncomingFile) -> Content:
        """What came whole, to be kept later; from the second file on it waits in a batch.

        Thousands of files take neither descriptors nor memory there, and one sync serves all.
        """
        if self._blobs is None or incoming is self._files[0]:
            return incoming
        self._batch = self._batch or self._blobs.batch()
        self._files.remove(incoming)
        return WaitingFile(incoming, self._batch, _packing(incoming.hasher.algorithms))

    def close(self) -> None:
        """End the act: what was not kept is gone. May be repeated."""
        if self._prepared:
            self._prepared.discard()
        while self._files:
            self._files.pop().close()
        if self._batch:
            self._batch.discard()

    def _create(self) -> StagedFile:
        staged, self._prepared = self._prepared or self._staging.create(), None
        return staged

    def _new_hasher(self) -> Hasher:
        if self._crew is None:
            return ContentHasher(self._digests)
        return ParallelHasher(self._digests, self._crew)

    def _count(self, size: int) -> None:
        self._received += size
        self.expect(self._received)


@functools.lru_cache(maxsize=16)
def _packing(algorithms: tuple[str, ...]) -> Packing:
    return Packing(algorithms)
