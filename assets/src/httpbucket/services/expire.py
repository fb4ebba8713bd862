"""Expire: remove the uploads whose time is over, or that are beyond what a template keeps."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import EMPTY
from httpbucket.domain.errors import BlobNotFound, BucketError, IndexNotReady, UploadNotFound
from httpbucket.domain.retention import Places, Retention
from httpbucket.domain.search import UploadFilter
from httpbucket.domain.upload import Record, UploadId
from httpbucket.services.delete import Delete
from httpbucket.storage.base import Index, Records, TreeStore

logger = logging.getLogger(__name__)

#: Uploads that are read together.
UPLOADS_AT_ONCE = 200

#: Whether something that an upload names was promised to be there still.
HasLease = Callable[[UploadId, datetime], bool]

#: Why an upload goes: its time is over, or newer ones took its places.
Reason = Literal["expired", "superseded"]


@dataclass(frozen=True)
class Expired:
    """An upload that goes. ``unique_bytes`` nothing names but this and those told before it."""

    upload: UploadId
    name: str
    reason: Reason
    unique_bytes: int

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it."""
        return asdict(self) | {"upload": str(self.upload)}


@dataclass
class ExpireTally:
    """What a run did so far."""

    uploads: int = 0
    bytes_freed: int = 0


class Expire:
    """Goes through all uploads, the newest first, which are what a template counts from.

    A mark, and a lease on anything that an upload names, keeps it.
    """

    def __init__(
        self,
        *,
        records: Records,
        trees: TreeStore,
        index: Index,
        delete: Delete,
        retention: Retention,
        has_lease: HasLease,
    ) -> None:
        self._records = records
        self._trees = trees
        self._index = index
        self._delete = delete
        self._retention = retention
        self._has_lease = has_lease

    def plan(self, now: datetime) -> Iterator[Expired]:
        """What `run` would remove now, and the bytes won. Raises `IndexNotReady`."""
        going: set[UploadId] = set()
        for record, reason in self._due(now):
            going.add(record.id)
            unique = sum(blob.size for blob in self._won(record, going))
            yield Expired(record.id, record.name, reason, unique)

    def run(self, now: datetime, *, may_go_on: Callable[[], bool] = lambda: True) -> ExpireTally:
        """Remove what is due; asks ``may_go_on`` before each. Raises `IndexNotReady`.

        When it is stopped, another call does the rest.
        """
        tally = ExpireTally()
        for record, _ in self._due(now):
            if not may_go_on():
                break
            self._remove(record, now, tally)
        return tally

    def _remove(self, record: Record, now: datetime, tally: ExpireTally) -> None:
        def is_still_due(found: Record) -> bool:
            is_changed = found.keep or found.expires != record.expires
            return not is_changed and not self._has_lease(found.id, now)

        try:
            freed = self._delete.upload_if(record.id, is_still_due)
        except IndexNotReady:
            raise
        except UploadNotFound:
            return
        except BucketError as error:
            logger.warning("Upload %s expires later: %s", record.id, error)
            return
        if freed is not None:
            tally.uploads += 1
            tally.bytes_freed += freed.bytes_freed

    def _due(self, now: datetime) -> Iterator[tuple[Record, Reason]]:
        if not self._index.is_complete():
            raise IndexNotReady("The index is being rebuilt; what is newest is not known yet.")
        places = Places(self._retention)
        for record in self._newest_first():
            is_superseded = places.take(record)
            is_over = record.expires is not None and record.expires <= now
            is_going = (is_over or is_superseded) and not record.keep
            if is_going and not self._has_lease(record.id, now):
                yield record, "expired" if is_over else "superseded"

    def _newest_first(self) -> Iterator[Record]:
        before: str | None = ""
        while before is not None:
            found = self._index.find_uploads(UploadFilter(), before=before, limit=UPLOADS_AT_ONCE)
            for upload in found.ids:
                try:
                    yield self._records.load(upload)
                except UploadNotFound:
                    logger.info("Upload %s went meanwhile.", upload)
                except ValueError as error:
                    logger.error("Upload %s is kept, because it is damaged: %s", upload, error)
            before = found.next_before

    def _won(self, record: Record, going: set[UploadId]) -> Iterator[Descriptor]:
        """The contents that nothing names but the uploads that go; each once for all of them."""
        own = [named.blob for named in record.named_blobs()]
        if record.tree:
            own.append(record.tree.manifest)
        seen: set[bytes] = set()
        members = self._members(record) if record.tree else iter(())
        is_last_of_tree = record.tree and self._is_won(record.tree.manifest, going)
        for blob in itertools.chain(own, members if is_last_of_tree else ()):
            identity = blob.sha256.value
            if identity not in seen and self._is_won(blob, going):
                yield blob
            seen.add(identity)

    def _is_won(self, blob: Descriptor, going: set[UploadId]) -> bool:
        """Whether all that name the blob go; the last one of them wins it."""
        if blob.sha256 == EMPTY:
            return False
        return all(upload in going for upload in self._holders(blob))

    def _holders(self, blob: Descriptor) -> Iterable[UploadId]:
        wanted, before = UploadFilter(contents=(blob.sha256,)), ""
        while True:
            found = self._index.find_uploads(wanted, before=before, limit=UPLOADS_AT_ONCE)
            yield from found.ids
            if found.next_before is None:
                return
            before = found.next_before

    def _members(self, record: Record) -> Iterator[Descriptor]:
        if not record.manifest:
            return
        try:
            with self._trees.load(record.manifest) as manifest:
                yield from (entry.blob for entry in manifest.entries if entry.blob)
        except (BlobNotFound, ValueError) as error:
            logger.warning("The tree of upload %s is not counted: %s", record.id, error)
