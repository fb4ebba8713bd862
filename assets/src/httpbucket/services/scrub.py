"""Scrub reads every blob again, and sees whether it still is what it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from httpbucket.content.hashing import ContentHasher, hashed
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound, IndexNotReady, UploadNotFound
from httpbucket.domain.search import UploadFilter
from httpbucket.domain.upload import UploadId
from httpbucket.storage.base import BlobStore, Index, Records, Repair, Survey

#: Of so many uploads that a rotten blob concerns the ids are told.
_TOLD_UPLOADS = 20


@dataclass(frozen=True)
class Rotten:
    """A blob that is not what it is called any more; ``uploads`` are some that name it."""

    blob: Digest
    size: int
    uploads: tuple[UploadId, ...]

    def to_json(self) -> dict[str, object]:
        """As the command line prints it."""
        return {
            "blob": str(self.blob),
            "size": self.size,
            "uploads": [str(upload) for upload in self.uploads],
        }


@dataclass
class Scrubbed:
    """What a scrub saw. ``is_whole`` is False when it was stopped before the end.

    ``misdescribed`` are blobs that are whole, but of which a record states another digest; ``lost``
    were rotten before, and no bytes have come since that would heal them; ``strangers`` are paths
    among the blobs that have no blob's name; ``described`` counts blobs that got digests which
    were not recorded when they came. ``last`` is the blob up to which it came.
    """

    blobs: int = 0
    size: int = 0
    rotten: list[Rotten] = field(default_factory=list)
    lost: list[Rotten] = field(default_factory=list)
    misdescribed: list[Digest] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    healed: list[Digest] = field(default_factory=list)
    described: int = 0
    is_whole: bool = True
    last: Digest | None = None

    @property
    def is_sound(self) -> bool:
        """Whether every content that was read, or is named, is there and right."""
        return not (self.rotten or self.lost or self.misdescribed)

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it."""
        return {
            "blobs": self.blobs,
            "size": self.size,
            "complete": self.is_whole,
            "rotten": [one.to_json() for one in self.rotten],
            "lost": [one.to_json() for one in self.lost],
            "misdescribed": [str(blob) for blob in self.misdescribed],
            "strangers": self.strangers,
            "healed": [str(blob) for blob in self.healed],
            "described": self.described,
        }


class Scrub:
    """Takes out what is rotten, so that nobody is told that it is kept.

    A later upload of the right bytes heals such a blob; the next scrub then gives the bytes to the
    names that still show the rotten ones. ``pace`` is called with the bytes of each read, and
    returns when so many more may be read.
    """

    def __init__(
        self,
        *,
        blobs: BlobStore,
        records: Records,
        index: Index,
        repair: Repair,
        survey: Survey,
        digests: Sequence[str],
        pace: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._blobs = blobs
        self._records = records
        self._index = index
        self._repair = repair
        self._survey = survey
        self._digests = digests
        self._pace = pace

    def run(
        self,
        *,
        after: Digest | None = None,
        may_go_on: Callable[[Digest], bool] = lambda blob: True,
        on_blob: Callable[[Digest, int], None] = lambda blob, size: None,
    ) -> Scrubbed:
        """Read every blob that follows ``after``, in order.

        ``may_go_on`` is asked before each, and ``on_blob`` is told its size when it was read.
        """
        seen = Scrubbed(last=after)
        self._heal(seen)
        if after is None:
            seen.strangers += self._survey.strangers()
        for digest in self._blobs.digests(after=after):
            if not may_go_on(digest):
                seen.is_whole = False
                break
            with suppress(BlobNotFound):
                on_blob(digest, self._check(digest, seen))
            seen.last = digest
        return seen

    def next_after(self, blob: Digest | None) -> Digest | None:
        """The blob that is read next when this one was the last; None at the end."""
        return next(self._blobs.digests(after=blob), None)

    def _check(self, digest: Digest, seen: Scrubbed) -> int:
        described = self._described(digest)
        hasher = self._read(digest, described)
        seen.blobs += 1
        seen.size += hasher.size
        actual = hasher.digests()
        is_right = actual["sha256"] == digest.hex
        if not is_right:
            self._repair.quarantine(digest)
        if not is_right or self._repair.quarantine_siblings(digest, self._pace):
            seen.rotten.append(Rotten(digest, hasher.size, self._uploads_of(digest)))
            # A store that was copied without its hardlinks has the right bytes under other names.
            self._relink_uploads_of(digest)
            self._release_if_healed(digest, seen)
        elif described and not described.digests.items() <= actual.items():
            seen.misdescribed.append(digest)
        elif described and not described.digests.keys() >= {*self._digests}:
            self._add_digests(replace(described, digests=actual), seen)
        return hasher.size

    def _add_digests(self, blob: Descriptor, seen: Scrubbed) -> None:
        """For a store whose ``DIGESTS`` have changed since the blob came."""
        with suppress(IndexNotReady):
            self._index.add_digests(blob)
            seen.described += 1

    def _read(self, digest: Digest, described: Descriptor | None) -> ContentHasher:
        known = described.digests if described else ()
        with self._blobs.open(digest) as reader:
            return hashed(reader, (*known, *self._digests), self._pace)

    def _described(self, digest: Digest) -> Descriptor | None:
        with suppress(IndexNotReady):
            known = self._index.describe(digest)
            return known.blob if known else None
        return None

    def _heal(self, seen: Scrubbed) -> None:
        for digest in self._repair.quarantined():
            if self._blobs.size(digest) is not None:
                self._relink_uploads_of(digest)
                self._release_if_healed(digest, seen)
            elif uploads := self._uploads_of(digest):
                seen.lost.append(Rotten(digest, 0, uploads))

    def _relink_uploads_of(self, digest: Digest) -> None:
        with suppress(IndexNotReady):
            for upload in self._every_upload_of(digest):
                with suppress(UploadNotFound, ValueError):
                    self._repair.relink(self._records.load(upload))

    def _release_if_healed(self, digest: Digest, seen: Scrubbed) -> None:
        if self._blobs.size(digest) is not None:
            self._repair.release(digest)
            seen.healed.append(digest)

    def _uploads_of(self, digest: Digest) -> tuple[UploadId, ...]:
        with suppress(IndexNotReady):
            wanted = UploadFilter(contents=(digest,))
            return self._index.find_uploads(wanted, limit=_TOLD_UPLOADS).ids
        return ()

    def _every_upload_of(self, digest: Digest) -> Iterator[UploadId]:
        before: str | None = ""
        while before is not None:
            wanted = UploadFilter(contents=(digest,))
            found = self._index.find_uploads(wanted, before=before, limit=100)
            yield from found.ids
            before = found.next_before
