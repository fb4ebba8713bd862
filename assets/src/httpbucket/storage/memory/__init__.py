"""The ports in memory: the reference for what they mean, and the double that tests use."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import EMPTY, Digest
from httpbucket.domain.errors import BlobNotFound, Busy, PendingTreeNotFound, UploadNotFound
from httpbucket.domain.pending_tree import PendingTree, checked_id
from httpbucket.domain.search import UploadFilter, as_text, searched_headers, searched_name
from httpbucket.domain.upload import NamedBlob, Record, Replica, UploadId
from httpbucket.storage.base import (
    MOST_PENDING,
    TURN_SECONDS,
    BlobBatch,
    FoundUploads,
    HeldDirectories,
    KnownBlob,
    Manifest,
    Space,
    StagedFile,
    Totals,
)


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

    def add_bytes(self, content: bytes, digest: Digest) -> bool:
        is_new = self._store.size(digest) is None and digest not in self._waiting
        self._waiting[digest] = content
        self._pins.enter_context(self._store.pinned(digest))
        return is_new

    def add_staged(self, staged: StagedFile, digest: Digest) -> bool:
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

    def local_path(self, digest: Digest) -> Path | None:
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


class MemoryRecords:
    """Records in a dictionary."""

    def __init__(self) -> None:
        self._records: dict[UploadId, bytes] = {}
        self._removed: dict[UploadId, Record] = {}

    def publish(self, record: Record) -> None:
        self._records[record.id] = record.to_bytes()

    def load(self, upload: UploadId) -> Record:
        try:
            return Record.from_bytes(self._records[upload])
        except KeyError:
            raise UploadNotFound(f"There is no upload {upload}.") from None

    def has(self, upload: UploadId) -> bool:
        return upload in self._records

    def amend(self, upload: UploadId, change: Callable[[Record], Record]) -> Record:
        amended = change(self.load(upload))
        self._records[upload] = amended.to_bytes()
        return amended

    def remove(
        self, upload: UploadId, *, only_if: Callable[[Record], bool] = lambda record: True
    ) -> Record | None:
        record = self.load(upload)
        if not only_if(record):
            return None
        self._removed[upload] = record
        del self._records[upload]
        return record

    def removed(self) -> Iterator[Record]:
        return iter(list(self._removed.values()))

    def forget(self, upload: UploadId) -> None:
        self._removed.pop(upload, None)

    def ids(self, *, since_day: str = "") -> Iterator[UploadId]:
        return iter(sorted(upload for upload in self._records if upload.day >= since_day))


class MemoryReplicas:
    """Replica directories as dictionaries from name to what it shows."""

    def __init__(self) -> None:
        self.directories: dict[str, dict[str, Replica | str]] = defaultdict(dict)
        self._lock = threading.RLock()

    @contextmanager
    def hold(self, directories: Collection[str]) -> Iterator[HeldDirectories]:
        with self._lock:
            yield self

    def entries(self, directory: str) -> Collection[str]:
        return list(self.directories[directory])

    def announce(self, record: Record) -> None:
        pass

    def make(self, record: Record) -> None:
        for replica in record.replicas:
            names = self.directories[replica.directory]
            names[replica.name] = replica
            names.update(dict.fromkeys(replica.latest, replica.name))

    def shown(self, link: str) -> str | None:
        directory, _, name = link.rpartition("/")
        shown = self.directories[directory].get(name)
        return shown if isinstance(shown, str) else None

    @contextmanager
    def removing(
        self, upload: UploadId, replicas: Collection[Replica], latest: Mapping[str, str | None]
    ) -> Iterator[None]:
        yield
        for replica in replicas:
            self.directories[replica.directory].pop(replica.name, None)
        for link, name in latest.items():
            directory, _, own_name = link.rpartition("/")
            if name is None:
                del self.directories[directory][own_name]
            else:
                self.directories[directory][own_name] = name

    def finish(self) -> int:
        return 0


class MemoryPendingTrees:
    """Pending trees in a dictionary, as the lines that a disk would hold."""

    def __init__(self) -> None:
        # The one that was saved the longest ago comes first.
        self._trees: dict[str, list[bytes]] = {}
        self._lock = threading.RLock()
        self._held: set[str] = set()

    def save(self, pending: PendingTree) -> None:
        self._trees.pop(pending.id, None)
        if len(self._trees) >= MOST_PENDING:
            del self._trees[next(id for id in self._trees if id not in self._held)]
        self._trees[pending.id] = list(pending.to_lines())

    @contextmanager
    def hold(
        self, id: str, check: Callable[[], None] = lambda: None, *, seconds: float = TURN_SECONDS
    ) -> Iterator[PendingTree]:
        with _held(self._lock, check, seconds):
            if checked_id(id) not in self._trees:
                raise PendingTreeNotFound(id)
            self._held.add(id)
            try:
                yield PendingTree.from_lines(self._trees[id])
            finally:
                self._held.discard(id)

    def sweep(self, now: datetime) -> int:
        trees = [PendingTree.from_lines(lines) for lines in self._trees.values()]
        expired = [tree.id for tree in trees if tree.expires < now]
        for id in expired:
            del self._trees[id]
        return len(expired)


class MemoryCapacity:
    """Tells what it is told."""

    def __init__(self, space: Space | None = None) -> None:
        self._space = space

    def space(self) -> Space | None:
        return self._space


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

    def find_lasting(self, digest: Digest, until: datetime) -> None:
        return None

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


class MemoryTurns:
    """Names that one thread holds at a time."""

    def __init__(self) -> None:
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextmanager
    def __call__(
        self, name: str, check: Callable[[], None] = lambda: None, *, seconds: float = TURN_SECONDS
    ) -> Iterator[datetime | None]:
        with _held(self._locks[name], check, seconds):
            yield None


@contextmanager
def _held(
    lock: threading.Lock | threading.RLock, check: Callable[[], None], seconds: float
) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while not lock.acquire(timeout=0.02):
        if time.monotonic() >= deadline:
            raise Busy("Another request works on the same; try again in a few seconds.")
        check()
    try:
        yield
    finally:
        lock.release()
