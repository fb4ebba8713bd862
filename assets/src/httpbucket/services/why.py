"""Why is a content kept: every name that holds it, who put it there, and when each lets go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound, IndexNotReady, UploadNotFound
from httpbucket.domain.search import UploadFilter
from httpbucket.domain.upload import Record, UploadId
from httpbucket.storage.base import Index, KnownBlob, Records, Repair, Standing, Survey, TreeStore

_UPLOADS_AT_ONCE = 100


@dataclass(frozen=True)
class Kept:
    """A content as it lies there. ``known`` is None when no upload names it."""

    blob: Digest
    standing: Standing | None
    known: KnownBlob | None
    is_quarantined: bool
    lease_until: datetime | None

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it."""
        standing, described = self.standing, self.known.blob if self.known else None
        return {
            "blob": str(self.blob),
            "kept": standing is not None,
            "size": standing.size if standing else described.size if described else None,
            "media_type": described.media_type if described else None,
            "digests": dict(described.digests) if described else {"sha256": self.blob.hex},
            "files": standing.files if standing else 0,
            "names": standing.names if standing else 0,
            "uploads_on_their_way": standing.holders if standing else 0,
            "quarantined": self.is_quarantined,
            "lease_until": self.lease_until.isoformat() if self.lease_until else None,
        }


@dataclass(frozen=True)
class Holder:
    """An upload that names a content, and the paths at which it does."""

    record: Record
    paths: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it."""
        record = self.record
        return {
            "upload": str(record.id),
            "name": record.name,
            "received": record.received.isoformat(),
            "headers": dict(record.headers),
            "expires": record.expires.isoformat() if record.expires else None,
            "keep": record.keep,
            "paths": list(self.paths),
        }


class Why:
    """Asks the index which uploads there are, and their records and trees for the names."""

    def __init__(
        self, *, records: Records, trees: TreeStore, index: Index, repair: Repair, survey: Survey
    ) -> None:
        self._records = records
        self._trees = trees
        self._index = index
        self._repair = repair
        self._survey = survey

    def find(self, question: tuple[Digest, ...]) -> tuple[Kept, ...]:
        """The contents that the first known digest means, also those that nothing names any more.

        Raises `BlobNotFound`, or `IndexNotReady` while nobody can know who names a content.
        """
        if not self._index.is_complete():
            raise IndexNotReady("The index is being rebuilt; ask again when that is done.")
        quarantined = set(self._repair.quarantined())
        for digest in question:
            found = self._index.find(digest)
            is_there = digest.algorithm == "sha256" and (
                digest in quarantined or self._survey.standing(digest)
            )
            if found or is_there:
                return tuple(self._kept(blob, quarantined) for blob in found or (digest,))
        raise BlobNotFound(f"No content with the digest {question[0]} is kept.")

    def holders(self, blob: Digest) -> Iterator[Holder]:
        """Every upload that names the content, the newest first."""
        for upload in self._uploads(blob):
            with suppress(UploadNotFound, ValueError):
                record = self._records.load(upload)
                yield Holder(record, tuple(self._paths(record, blob)))

    def _kept(self, blob: Digest, quarantined: set[Digest]) -> Kept:
        return Kept(
            blob,
            standing=self._survey.standing(blob),
            known=self._index.describe(blob),
            is_quarantined=blob in quarantined,
            lease_until=self._index.lease_until(blob),
        )

    def _uploads(self, blob: Digest) -> Iterator[UploadId]:
        before: str | None = ""
        while before is not None:
            wanted = UploadFilter(contents=(blob,))
            found = self._index.find_uploads(wanted, before=before, limit=_UPLOADS_AT_ONCE)
            yield from found.ids
            before = found.next_before

    def _paths(self, record: Record, blob: Digest) -> Iterator[str]:
        """The names in the upload, then those of its replicas."""
        for named in record.named_blobs():
            if named.blob.sha256 == blob:
                yield record.path_of(named.name)
        members = list(self._members(record, blob))
        if record.tree:
            tree = record.path_of(record.tree.name)
            if record.manifest == blob:
                yield f"{record.id.directory} (the list of its tree)"
            yield from (f"{tree}/{member}" for member in members)
        for replica in record.replicas:
            if replica.part == "tree":
                yield from (f"{replica.path}/{member}" for member in members)
            elif (part := record.named_part(replica.part)) and part.blob.sha256 == blob:
                yield replica.path

    def _members(self, record: Record, blob: Digest) -> Iterator[str]:
        if record.manifest is None:
            return
        with suppress(BlobNotFound, ValueError), self._trees.load(record.manifest) as manifest:
            for entry in manifest.entries:
                if entry.blob and entry.blob.sha256 == blob:
                    yield entry.path
