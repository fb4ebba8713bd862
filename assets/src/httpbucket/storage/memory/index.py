"""The index in memory: the reference for what its questions mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.search import UploadFilter, as_text, searched_headers, searched_name
from httpbucket.domain.upload import NamedBlob, Record, UploadId
from httpbucket.storage.base import FoundUploads, KnownBlob, Manifest, Totals


@dataclass(frozen=True)
class _Searched:
    """What an upload is found by."""

    name: str
    headers: Mapping[str, str]
    contents: frozenset[Digest]
    size: int
    expires: datetime | None
    idempotency_key: str | None

    def stays(self, at_least: datetime) -> bool:
        return self.expires is None or self.expires >= at_least

    def fits(self, wanted: UploadFilter) -> bool:
        return (
            searched_name(wanted.name) in self.name
            and all(
                self.headers.get(name.lower()) == as_text(value)
                for name, value in wanted.headers.items()
            )
            and (wanted.contents is None or not self.contents.isdisjoint(wanted.contents))
        )


class MemoryIndex:
    """Answers from dictionaries."""

    def __init__(self) -> None:
        self._taken_in: dict[UploadId, tuple[Record, list[NamedBlob]]] = {}
        self._leases: dict[Digest, datetime] = {}
        self._leases_since: datetime | None = None
        self._complete = False
        self._agreed_day = ""
        self._forget_all()

    def _forget_all(self) -> None:
        self._uploads: dict[UploadId, _Searched] = {}
        self._known: dict[Digest, KnownBlob] = {}
        self._aliases: dict[Digest, set[Digest]] = defaultdict(set)
        self._unpacked: dict[Digest, list[UploadId]] = defaultdict(list)
        self._replicas: dict[str, UploadId] = {}
        self._manifests: set[Digest] = set()

    def prepare(self) -> None:
        pass

    def add(self, record: Record, manifest: Manifest | None) -> None:
        # Read to its end first, because a manifest may turn out to be damaged.
        entries = list(manifest.entries) if manifest else []
        members = [
            NamedBlob(entry.path.rpartition("/")[2], entry.blob) for entry in entries if entry.blob
        ]
        self._take_in(record, members)

    def _take_in(self, record: Record, members: list[NamedBlob]) -> None:
        self._taken_in[record.id] = record, members
        every = (*record.named_blobs(), *members)
        for named in every:
            self._add(named)
        if record.manifest:
            self._manifests.add(record.manifest)
        for blob in record.sources():
            self._unpacked[blob].append(record.id)
        self._replicas.update((replica.path, record.id) for replica in record.replicas)
        self._uploads[record.id] = _Searched(
            name=searched_name(record.name),
            headers=searched_headers(record),
            contents=frozenset(named.blob.sha256 for named in every)
            | ({record.manifest} if record.manifest else set()),
            size=record.shown_size,
            expires=record.expires,
            idempotency_key=record.idempotency_key,
        )

    def _add(self, named: NamedBlob) -> None:
        identity = named.blob.sha256
        self._known.setdefault(identity, KnownBlob(named.blob, named.name))
        for digest in named.blob.all_digests():
            self._aliases[digest].add(identity)

    def remove(self, record: Record, manifest: Manifest | None) -> None:
        self.forget_uploads([record.id])

    def forget_uploads(self, uploads: Collection[UploadId]) -> None:
        for upload in uploads:
            self._taken_in.pop(upload, None)
        rest = list(self._taken_in.values())
        self._forget_all()
        for other, members in rest:
            self._take_in(other, members)

    def forget_replica(self, path: str, upload: UploadId) -> None:
        if self._replicas.get(path) == upload:
            del self._replicas[path]

    def unnamed(self, blobs: Sequence[Digest]) -> tuple[Digest, ...]:
        named = self._known.keys() | self._manifests
        return tuple(blob for blob in blobs if blob not in named)

    def has_upload(self, upload: UploadId) -> bool:
        return upload in self._uploads

    def uploads(self, *, after: str = "", limit: int) -> Sequence[UploadId]:
        return sorted(upload for upload in self._uploads if str(upload) > after)[:limit]

    def find(self, digest: Digest) -> tuple[Digest, ...]:
        return tuple(sorted(self._aliases.get(digest, ())))

    def find_many_lasting(self, algorithm: str, values: Sequence[bytes], until: datetime) -> None:
        return None

    def find_many(self, algorithm: str, values: Collection[bytes]) -> list[tuple[bytes, bytes]]:
        return [
            (value, found.value)
            for value in set(values)
            for found in self.find(Digest.of(algorithm, value))
        ]

    def lease(
        self,
        blobs: Collection[bytes],
        *,
        at_least: datetime,
        until: datetime,
        despite_uploads: bool = False,
    ) -> bool:
        needing = [
            blob
            for blob in (Digest.of("sha256", value) for value in blobs)
            if (despite_uploads or not self._stays(blob, at_least))
            and not self.leased([blob], now=at_least)
        ]
        for blob in needing:
            self._leases[blob] = max(until, self._leases.get(blob, until))
        return bool(needing)

    def _stays(self, blob: Digest, at_least: datetime) -> bool:
        uploads = self._uploads.values()
        return any(upload.stays(at_least) and blob in upload.contents for upload in uploads)

    def one_moment(self) -> AbstractContextManager[None]:
        return nullcontext()

    def find_lasting(self, digests: Sequence[Digest], until: datetime) -> Sequence[None]:
        return [None] * len(digests)

    def leased(self, blobs: Collection[Digest], *, now: datetime) -> frozenset[Digest]:
        return frozenset(
            blob for blob in blobs if blob in self._leases and self._leases[blob] >= now
        )

    def has_lease(self, upload: UploadId, *, now: datetime) -> bool:
        known = self._uploads.get(upload)
        return bool(known and self.leased(known.contents, now=now))

    def end_leases(self, blobs: Collection[Digest]) -> None:
        for blob in blobs:
            self._leases.pop(blob, None)

    def lease_until(self, blob: Digest) -> datetime | None:
        return self._leases.get(blob)

    def forget_leases(self, *, before: datetime) -> int:
        ended = [blob for blob, until in self._leases.items() if until < before]
        self.end_leases(ended)
        return len(ended)

    def leases_since(self, now: datetime) -> datetime:
        self._leases_since = self._leases_since or now
        return self._leases_since

    def find_retried(self, key: str, *, since: datetime) -> tuple[UploadId, ...]:
        first = UploadFilter(since=since).first_id
        uploads = sorted(self._uploads.items())
        return tuple(
            upload
            for upload, known in uploads
            if known.idempotency_key == key and str(upload) >= first
        )

    def describe_many(self, blobs: Collection[bytes]) -> Mapping[bytes, Descriptor]:
        known = ((value, self._known.get(Digest.of("sha256", value))) for value in blobs)
        return {value: one.blob for value, one in known if one}

    def describe(self, blob: Digest) -> KnownBlob | None:
        return self._known.get(blob)

    def find_unpacked(self, blob: Digest) -> tuple[UploadId, ...]:
        return tuple(sorted(self._unpacked[blob], reverse=True))

    def find_replica(self, path: str) -> UploadId | None:
        return self._replicas.get(path)

    def find_uploads(self, wanted: UploadFilter, *, before: str = "", limit: int) -> FoundUploads:
        older = (upload for upload in self._uploads if not before or str(upload) < before)
        fitting = [
            upload
            for upload in sorted(older, reverse=True)
            if str(upload) >= wanted.first_id and self._uploads[upload].fits(wanted)
        ]
        ids = tuple(fitting[:limit])
        return FoundUploads(ids, str(ids[-1]) if len(fitting) > limit else None)

    def totals(self) -> Totals:
        return Totals(
            uploads=len(self._uploads),
            upload_size=sum(upload.size for upload in self._uploads.values()),
            blobs=len(self._known),
            blob_size=sum(known.blob.size for known in self._known.values()),
        )

    def add_digests(self, blob: Descriptor) -> None:
        if known := self._known.get(blob.sha256):
            more = replace(blob, digests={**known.blob.digests, **blob.digests})
            self._known[blob.sha256] = KnownBlob(more, known.filename)
            for digest in more.all_digests():
                self._aliases[digest].add(blob.sha256)

    def forget_all(self) -> None:
        self._taken_in.clear()
        self._forget_all()
        self._complete, self._agreed_day = False, ""

    def is_complete(self) -> bool:
        return self._complete

    def agreed_day(self) -> str:
        return self._agreed_day

    def mark_complete(self, *, agreed_day: str) -> None:
        self._complete, self._agreed_day = True, agreed_day

    def mark_incomplete(self) -> None:
        self._complete = False

    def close(self) -> None:
        pass
