"""What came in pieces, as one content: hashed as it came, or read again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import BinaryIO

from httpbucket.content.hashing import ContentHasher, hashed
from httpbucket.content.media_type import HEAD_BYTES
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.partial import PartialId
from httpbucket.storage.base import BlobStore, HeldPartial, StagedFile

#: Of so many uploads the hashers are remembered between pieces. Each is a few hundred bytes.
_REMEMBERED = 256


class Gathered:
    """All bytes of an upload that came in pieces, as an ingest wants them."""

    def __init__(
        self, held: HeldPartial, hasher: ContentHasher | None, digests: Sequence[str]
    ) -> None:
        self._held = held
        self._hasher = hasher or _hash_again(held, digests)
        self._staged: StagedFile | None = None
        with held.open() as reader:
            self.head = reader.read(HEAD_BYTES)

    def describe(self, media_type_of: Callable[[bytes], str]) -> Descriptor:
        """What came."""
        return self.known_as(media_type_of(self.head))

    def known_as(self, media_type: str) -> Descriptor:
        """As `Content.known_as`."""
        hasher = self._hasher
        return Descriptor(hasher.digests(), hasher.size, hasher.crc32, media_type)

    def open(self) -> BinaryIO:
        """A reader of what came."""
        return self._held.open()

    def keep(self, blobs: BlobStore, digest: Digest) -> bool:
        """As `BlobStore.keep`; the bytes stay until the upload is published."""
        self._staged = self._held.staged()
        return blobs.keep(self._staged, digest)

    def close(self) -> None:
        """Let go of what was staged."""
        if self._staged:
            self._staged.discard()


def _hash_again(held: HeldPartial, digests: Sequence[str]) -> ContentHasher:
    with held.open() as reader:
        return hashed(reader, digests)


class Hashers:
    """The hashers of uploads whose every byte this process saw, until their next piece comes."""

    def __init__(self) -> None:
        self._known: OrderedDict[PartialId, ContentHasher] = OrderedDict()
        self._guard = threading.Lock()

    def take(self, held: HeldPartial, digests: Sequence[str]) -> ContentHasher | None:
        """The hasher that saw the bytes that came; None when this process has none."""
        with self._guard:
            hasher = self._known.pop(held.partial.id, None)
        if held.size == 0:
            return ContentHasher(digests)
        return hasher if hasher and hasher.size == held.size else None

    def remember(self, held: HeldPartial, hasher: ContentHasher | None) -> None:
        """Keep it for the next piece, if it saw what came and nothing else."""
        if hasher is None or hasher.size != held.size:
            return
        with self._guard:
            self._known[held.partial.id] = hasher
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
