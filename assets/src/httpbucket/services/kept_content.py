"""Content that is kept already, to make a further upload of it without sending it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO

from httpbucket.content.hashing import hashed
from httpbucket.content.media_type import HEAD_BYTES
from httpbucket.domain.blob import UNKNOWN_MEDIA_TYPE, Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound
from httpbucket.services.lookup import Lookup
from httpbucket.storage.base import BlobStore


class KeptContent:
    """A blob as `Content`: nothing of it has to be staged."""

    def __init__(self, blobs: BlobStore, known: Descriptor, digests: Sequence[str]) -> None:
        self._blobs = blobs
        self._known = known
        self._digests = digests

    @property
    def head(self) -> bytes:
        """The first bytes."""
        with self.open() as reader:
            return reader.read(HEAD_BYTES)

    def describe(self, media_type_of: Callable[[bytes], str]) -> Descriptor:
        """What was recorded of it; it is hashed anew only where a digest was not recorded."""
        known = self._known
        if {*self._digests} <= known.digests.keys() and known.media_type != UNKNOWN_MEDIA_TYPE:
            return known
        with self.open() as reader:
            hasher = hashed(reader, self._digests)
        return Descriptor(hasher.digests(), hasher.size, hasher.crc32, media_type_of(self.head))

    def known_as(self, media_type: str) -> Descriptor:
        """The same, without looking for its media type."""
        return replace(self.describe(lambda _: media_type), media_type=media_type)

    def open(self) -> BinaryIO:
        """A reader of the blob."""
        return self._blobs.open(self._known.sha256)

    def keep(self, blobs: BlobStore, digest: Digest) -> bool:
        """False, for it is kept. Raises `BlobNotFound` when it is not any more."""
        if blobs.size(digest) is None:
            raise BlobNotFound(f"The content {digest} was removed a moment ago; send it.")
        return False


class KeptContents:
    """Finds content that some upload names."""

    def __init__(self, *, lookup: Lookup, blobs: BlobStore, digests: Sequence[str]) -> None:
        self._lookup = lookup
        self._blobs = blobs
        self._digests = digests

    @contextmanager
    def find(self, question: Sequence[Digest]) -> Iterator[KeptContent]:
        """The one content that ``question`` means, which is not freed meanwhile.

        Raises as `Lookup.resolve`.
        """
        blob = self._lookup.resolve(question)
        with self._blobs.hold(blob):
            # Asked again, for it may have been freed before it was held.
            known = self._lookup.describe(blob)
            yield KeptContent(self._blobs, known.blob, self._digests)
