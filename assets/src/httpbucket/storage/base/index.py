"""Answers to questions about everything that is kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.search import UploadFilter
from httpbucket.domain.upload import Record, UploadId
from httpbucket.storage.base.trees import Manifest


@dataclass(frozen=True, slots=True)
class KnownBlob:
    """A blob that some upload names, and one of the names that it has there."""

    blob: Descriptor
    filename: str


@dataclass(frozen=True, slots=True)
class FoundMany:
    """Digests and the blobs that they name, raw: each of the ``values`` is one of its blob's.

    Both are the same list where the digests are the names of blobs.
    """

    values: Sequence[bytes]
    blobs: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class FoundUploads:
    """Uploads that were looked for, newest first; older ones than ``next_before`` may fit too.

    ``next_before`` is None when all were looked at.
    """

    ids: tuple[UploadId, ...]
    next_before: str | None


@dataclass(frozen=True, slots=True)
class Totals:
    """How much the index knows of: uploads, and the different blobs that they name.

    ``blob_size`` is the bytes of these blobs; ``upload_size`` is the bytes that all uploads show,
    which is what they would take if equal content was not kept once.
    """

    uploads: int
    upload_size: int
    blobs: int
    blob_size: int


class Index(Protocol):
    """Answers questions about what records and manifests say. Can be deleted and rebuilt.

    Raises `IndexNotReady` where a question cannot be answered for now. All methods may be called
    from any thread, and from any process that shares the store.
    """

    def prepare(self) -> None:
        """At start, before other processes use it: move an index that cannot be used aside."""
        ...

    def add(self, record: Record, manifest: Manifest | None) -> None:
        """Take in an upload, with its tree's manifest if it has one. May be repeated.

        When it raises `IndexNotReady`, the index is not complete from then on, for any process.
        """
        ...

    def remove(self, record: Record, manifest: Manifest | None) -> None:
        """Forget an upload, and its tree if no other upload has that. May be repeated.

        A manifest that cannot be read any more may be None; that takes longer.
        """
        ...

    def forget_uploads(self, uploads: Collection[UploadId]) -> None:
        """Forget uploads of which there is no record any more. May be repeated.

        It takes long: it is for what somebody removed by hand, or a dying process left.
        """
        ...

    def forget_replica(self, path: str, upload: UploadId) -> None:
        """Forget that the upload has a replica at this path, unless it is another's by now."""
        ...

    def unnamed(self, blobs: Sequence[Digest]) -> tuple[Digest, ...]:
        """Those of ``blobs`` that no upload names: as a file, a tree's manifest or its member."""
        ...

    def has_upload(self, upload: UploadId) -> bool:
        """Whether the upload was taken in."""
        ...

    def uploads(self, *, after: str = "", limit: int) -> Sequence[UploadId]:
        """At most ``limit`` uploads that were taken in, in order, of those ``after`` this text."""
        ...

    def find(self, digest: Digest) -> tuple[Digest, ...]:
        """The SHA-256 of every blob that has this digest and that some upload names."""
        ...

    def find_many(
        self, algorithm: str, values: Collection[bytes]
    ) -> Collection[tuple[bytes, bytes]]:
        """What `find` says to many digests, of one moment: pairs of a digest and a SHA-256.

        Digests are raw here, because a hundred thousand `Digest` take longer than their answer. The
        caller promises that they are as long as that algorithm's.
        """
        ...

    def find_many_lasting(
        self, algorithm: str, values: Sequence[bytes], until: datetime
    ) -> FoundMany | None:
        """The same, where all that is found stays until then without a lease.

        What is asked twice may be answered twice. It takes less time where near digests come
        together. None where one look does not tell: then `find_many`, `is_complete` and `lease` do.
        """
        ...

    def lease(
        self,
        blobs: Collection[bytes],
        *,
        at_least: datetime,
        until: datetime,
        despite_uploads: bool = False,
    ) -> bool:
        """Have these blobs (SHA-256, raw) stay ``at_least`` so long; whether that took a lease.

        One that an upload of this index names for so long needs none, unless it is to have one
        ``despite_uploads``, nor does one that an earlier lease keeps; every other, known or not,
        gets one ``until`` then, all in one transaction. Where it took one, the caller asks again
        whether the blob is known: it may have gone before its lease came.
        """
        ...

    def one_moment(self) -> AbstractContextManager[None]:
        """Meanwhile this thread's questions may be answered as of one moment after its begin.

        For a few questions that are there already, so that each costs less. Raises nothing.
        """
        ...

    def find_lasting(
        self, digests: Sequence[Digest], until: datetime
    ) -> Sequence[Sequence[bytes] | None]:
        """For each digest the blobs (SHA-256, raw), all of which stay until then without a lease.

        None where one look does not tell: then `find`, `is_complete` and `lease` do. An empty
        answer is a sure one.
        """
        ...

    def leased(self, blobs: Collection[Digest], *, now: datetime) -> Collection[Digest]:
        """Those of the blobs that a lease keeps."""
        ...

    def has_lease(self, upload: UploadId, *, now: datetime) -> bool:
        """Whether a lease keeps anything that the upload names, by its tree too."""
        ...

    def end_leases(self, blobs: Collection[Digest]) -> None:
        """Forget the leases of these blobs, because somebody wants them gone."""
        ...

    def lease_until(self, blob: Digest) -> datetime | None:
        """Until when a lease keeps the blob, or kept it; None where there is no lease."""
        ...

    def forget_leases(self, *, before: datetime) -> int:
        """Forget the leases that ended before then; how many those were."""
        ...

    def leases_since(self, now: datetime) -> datetime:
        """Since when no lease was lost: ``now``, where a new index is asked for the first time."""
        ...

    def find_retried(self, key: str, *, since: datetime) -> tuple[UploadId, ...]:
        """The uploads since then that came with this ``Idempotency-Key``, the oldest first."""
        ...

    def describe_many(self, blobs: Collection[bytes]) -> Mapping[bytes, Descriptor]:
        """What is known of those blobs (SHA-256, raw) that some upload names."""
        ...

    def describe(self, blob: Digest) -> KnownBlob | None:
        """What is known of the blob with this SHA-256; None when no upload names it."""
        ...

    def find_unpacked(self, blob: Digest) -> tuple[UploadId, ...]:
        """A few uploads in which this content was decompressed or unpacked, the newest first."""
        ...

    def find_replica(self, path: str) -> UploadId | None:
        """The upload that a replica's path (``replica/user/bob/a.20261121.1432.0``) shows."""
        ...

    def find_uploads(self, wanted: UploadFilter, *, before: str = "", limit: int) -> FoundUploads:
        """At most ``limit`` uploads that fit, newest first; only those older than ``before``.

        The work is bounded: an answer may hold fewer than ``limit``, or none, and yet a
        ``next_before`` to go on from.
        """
        ...

    def totals(self) -> Totals:
        """How much the index knows of. Takes no longer for many uploads than for one."""
        ...

    def add_digests(self, blob: Descriptor) -> None:
        """Have a known blob found by these digests as well. Of one that is not known: nothing."""
        ...

    def forget_all(self) -> None:
        """In one step, know of no upload any more and be incomplete. Leases stay."""
        ...

    def is_complete(self) -> bool:
        """Whether the index holds every record, so that not knowing means that there is none."""
        ...

    def agreed_day(self) -> str:
        """No record of an earlier day than this (``2026/11/21``) is missing; ``""`` if unsure."""
        ...

    def mark_complete(self, *, agreed_day: str) -> None:
        """From now on the index holds every record; and of days before ``agreed_day`` for good."""
        ...

    def mark_incomplete(self) -> None:
        """Records may be missing, of ``agreed_day`` and later, until `mark_complete` is called."""
        ...

    def close(self) -> None:
        """Let go of what this thread holds, before a fork for example. The next call opens it."""
        ...
