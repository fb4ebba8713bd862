"""Publish makes an upload of what is kept: the record, its replicas, and the index's word of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from httpbucket.domain.errors import BucketError, ContentVanished, StorageUnavailable
from httpbucket.domain.retention import Retention
from httpbucket.domain.upload import Finding, NamedBlob, Receipt, Record, Tree, UploadId
from httpbucket.services.reindex import add_to_index
from httpbucket.services.replicate import ReplicaPlan, Replicate
from httpbucket.storage.base import BlobBatch, Index, Records, TreeStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Draft:
    """What a record is to say, save for id, time and replicas; every blob it names is kept.

    ``log`` are the steps taken so far, in plain words; ``members`` as in `Records.publish`.
    """

    uploaded: NamedBlob | None
    decompressed: NamedBlob | None = None
    tree: Tree | None = None
    findings: tuple[Finding, ...] = ()
    log: tuple[str, ...] = ()
    folder: str = ""
    idempotency_key: str | None = None
    received: datetime | None = None
    members: BlobBatch | None = None


class Publish:
    """The last step of every way in.

    The order is the promise: the record lasts before the receipt is given, and the index, which
    can be made again, comes last.
    """

    def __init__(
        self,
        *,
        trees: TreeStore,
        records: Records,
        index: Index,
        replicate: Replicate,
        now: Callable[[], datetime],
        random_bits: Callable[[], int],
        on_index_gap: Callable[[], None],
        retention: Retention,
    ) -> None:
        self._trees = trees
        self._records = records
        self._index = index
        self._replicate = replicate
        self._now = now
        self._random_bits = random_bits
        self._on_index_gap = on_index_gap
        self._retention = retention

    @property
    def headers(self) -> tuple[str, ...]:
        """The request headers that decide something, in lower case, beside ``meta-`` ones."""
        return self._replicate.headers

    def parse_days(self, text: str) -> int | None:
        """The days for which a client asks an upload to be kept. Raises `InvalidRetention`."""
        return self._retention.parse_asked(text)

    def publish(
        self, draft: Draft, headers: Mapping[str, str], *, days: int | None = None
    ) -> Receipt:
        """Make the upload appear; when this returns it survives power loss.

        ``headers``, by name in lower case, are what templates are filled with and the record
        keeps; ``days`` is what `parse_days` gave. Raises what the ports raise; then nothing of it
        is to be seen, unless it is only replicas that could not be made: then the upload stays,
        and they are made as `HeldDirectories.make` says.
        """
        plan = self._replicate.plan(headers)
        record = self._publish(plan, self._record(draft, headers, days), draft.members)
        log = [*draft.log, f"Recorded as upload {record.id}.", *plan.log]
        log += [f"Replica {one.path}, now {', '.join(one.latest)}." for one in record.replicas]
        return Receipt(record, tuple(log))

    def _record(self, draft: Draft, headers: Mapping[str, str], days: int | None) -> Record:
        now = self._now()
        received = draft.received or now
        return Record(
            UploadId.new(received, self._random_bits()),
            received,
            draft.uploaded,
            decompressed=draft.decompressed,
            tree=draft.tree,
            findings=draft.findings,
            headers=dict(headers),
            expires=self._retention.expires(now, headers, asked=days),
            folder=draft.folder,
            idempotency_key=draft.idempotency_key,
        )

    def _publish(self, plan: ReplicaPlan, record: Record, members: BlobBatch | None) -> Record:
        """Publish, with replicas; the index learns of what was published though these may fail."""
        published: list[Record] = []

        def publish(final: Record) -> None:
            self._records.publish(final, members)
            published.append(final)

        try:
            return self._replicate.publish(plan, record, publish)
        except ContentVanished as error:
            if not published:
                raise
            # Not to be mistaken for a tree that can be unpacked anew: the upload is there.
            raise StorageUnavailable(str(error)) from error
        finally:
            for one in published:
                self._add_to_index(one)

    def _add_to_index(self, record: Record) -> None:
        """Not part of the promise: what the index lacks, it reads from the records again."""
        try:
            add_to_index(record, records=self._records, trees=self._trees, index=self._index)
        except BucketError as error:
            logger.warning(
                "Upload %s is kept, but the index did not take it in: %s", record.id, error
            )
            self._on_index_gap()
        except Exception:
            logger.exception("Upload %s is kept, but the index did not take it in.", record.id)
            self._on_index_gap()
