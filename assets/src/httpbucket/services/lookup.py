"""Lookup answers whether a content is kept, and which one a digest means."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from httpbucket.domain.blob import UNKNOWN_MEDIA_TYPE, Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import AmbiguousDigest, BlobNotFound, IndexNotReady
from httpbucket.storage.base import BlobStore, Index, KnownBlob


class Lookup:
    """Answers from the index, checked against the disk.

    While the index is being rebuilt, a SHA-256 is answered from the disk alone, and of any other
    digest only what the index knows already: an absence is never told that may be a presence.
    """

    def __init__(self, *, blobs: BlobStore, index: Index) -> None:
        self._blobs = blobs
        self._index = index

    def find(self, question: Sequence[Digest]) -> tuple[Digest, ...]:
        """The blobs that the first known digest of ``question`` names, at least one.

        ``question`` holds the digests that a client may have meant, best first. Raises
        `BlobNotFound`, or `IndexNotReady` when nobody can know yet.
        """
        try:
            for digest in question:
                if found := self._kept(digest):
                    return found
            is_complete = self._index.is_complete()
        except IndexNotReady:
            is_complete = False
        if is_complete:
            raise _not_found(question)
        return self.find_on_disk(question)

    def find_on_disk(self, question: Sequence[Digest]) -> tuple[Digest, ...]:
        """As `find`, without the index."""
        answers = [
            self._blobs.is_named(digest) if digest.algorithm == "sha256" else None
            for digest in question
        ]
        for digest, is_named in zip(question, answers, strict=True):
            if is_named:
                return (digest,)
        if None in answers:
            raise IndexNotReady("The index is being rebuilt; ask again in a few seconds.")
        raise _not_found(question)

    def resolve(self, question: Sequence[Digest]) -> Digest:
        """The one blob that ``question`` means. Raises as `find`, or `AmbiguousDigest`."""
        found = self.find(question)
        if len(found) > 1:
            raise AmbiguousDigest(
                f"{question[0]} is the digest of {len(found)} different contents; "
                "ask for one of them by its SHA-256.",
                sha256=[blob.hex for blob in found],
            )
        return found[0]

    def describe(self, *question: Digest) -> KnownBlob:
        """What is known of the one blob that ``question`` means. Raises as `resolve`."""
        if known := self._described_at_once(question):
            return known
        found = self.resolve(question)
        with suppress(IndexNotReady):
            if known := self._index.describe(found):
                return known
        return self._described_by_disk(found)

    def _described_at_once(self, question: Sequence[Digest]) -> KnownBlob | None:
        """What one look at the index tells of a blob that is asked for by its own name."""
        first = question[0]
        if first.algorithm != "sha256":
            return None
        with suppress(IndexNotReady):
            known = self._index.describe(first)
            return known if known and self._blobs.size(first) is not None else None
        return None

    def _kept(self, digest: Digest) -> tuple[Digest, ...]:
        blobs = self._index.find(digest)
        return tuple(blob for blob in blobs if self._blobs.size(blob) is not None)

    def _described_by_disk(self, blob: Digest) -> KnownBlob:
        size = self._blobs.size(blob) or 0
        descriptor = Descriptor({"sha256": blob.hex}, size, 0, UNKNOWN_MEDIA_TYPE)
        return KnownBlob(descriptor, blob.hex)


def _not_found(question: Sequence[Digest]) -> BlobNotFound:
    return BlobNotFound(f"No upload names a content with the digest {question[0]}.")
