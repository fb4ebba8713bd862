"""Bytes on their way in: staged, hashed and counted in one pass, and gone unless kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO, Protocol

from httpbucket.content.crew import Crew
from httpbucket.content.hashing import ContentHasher, Hasher
from httpbucket.content.media_type import HEAD_BYTES
from httpbucket.content.parallel_hashing import ParallelHasher
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import TooLarge
from httpbucket.storage.base import BlobStore, StagedFile, Staging


class Content(Protocol):
    """The bytes of one file that a client brings, all of them there."""

    @property
    def head(self) -> bytes:
        """The first bytes."""
        ...

    def describe(self, media_type_of: Callable[[bytes], str]) -> Descriptor:
        """What the content is."""
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
        self,
        staged: StagedFile,
        hasher: Hasher,
        count: Callable[[int], None],
    ) -> None:
        self.staged = staged
        self.hasher = hasher
        self._head = bytearray()
        self._count = count

    def write(self, piece: bytes | bytearray | memoryview) -> int:
        """Take the next bytes. Raises `TooLarge`, and what `StagedFile.write` raises."""
        self._count(len(piece))
        # In this order: a crew hashes while this thread writes.
        self.hasher.update(piece)
        self.staged.write(piece)
        if len(self._head) < HEAD_BYTES:
            self._head += piece[: HEAD_BYTES - len(self._head)]
        return len(piece)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Accepted and without effect: parsers rewind what they have written, to be read."""
        return offset

    def describe(self, media_type_of: Callable[[bytes], str]) -> Descriptor:
        """What came, once all of it came."""
        return Descriptor(
            digests=self.hasher.digests(),
            size=self.hasher.size,
            crc32=self.hasher.crc32,
            media_type=media_type_of(self.head),
        )

    @property
    def head(self) -> bytes:
        """The first bytes that came."""
        return bytes(self._head)

    def open(self) -> BinaryIO:
        """A reader of what came."""
        return self.staged.open()

    def keep(self, blobs: BlobStore, digest: Digest) -> bool:
        """As `BlobStore.keep`."""
        return blobs.keep(self.staged, digest)

    def close(self) -> None:
        """Forget the bytes; what they were kept as is no longer held."""
        self.hasher.close()
        self.staged.discard()


class Act:
    """One client act: its files share one allowance, and go when it ends unless they were kept.

    With a ``crew`` large files are hashed beside being received.
    """

    def __init__(
        self,
        staging: Staging,
        digests: Sequence[str],
        *,
        limit: int | None = None,
        crew: Crew | None = None,
    ) -> None:
        self._staging = staging
        self._digests = digests
        self._limit = limit
        self._crew = crew
        self._received = 0
        self._files: list[IncomingFile] = []
        self._prepared: StagedFile | None = None

    def expect(self, size: int) -> None:
        """Refuse an act of ``size`` bytes before any of them is read. Raises `TooLarge`."""
        if self._limit is not None and size > self._limit:
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
        staged, self._prepared = self._prepared or self._staging.create(), None
        incoming = IncomingFile(staged, self._new_hasher(), self._count)
        self._files.append(incoming)
        return incoming

    def close(self) -> None:
        """End the act: what was not kept is gone. May be repeated."""
        if self._prepared:
            self._prepared.discard()
        while self._files:
            self._files.pop().close()

    def _new_hasher(self) -> Hasher:
        if self._crew is None:
            return ContentHasher(self._digests)
        return ParallelHasher(self._digests, self._crew)

    def _count(self, size: int) -> None:
        self._received += size
        self.expect(self._received)
