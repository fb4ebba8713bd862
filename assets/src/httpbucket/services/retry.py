"""Retries that bring what came already, because their client never read the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import IndexNotReady, KeyReused, UploadNotFound
from httpbucket.domain.upload import Receipt, Record, UploadId
from httpbucket.services.unpack import check_client
from httpbucket.storage.base import Index, InTurn, Records

#: How long a key is remembered.
REMEMBERED = timedelta(days=1)

_LOG = "This came before with the same Idempotency-Key; that upload is the answer again."


@dataclass(frozen=True)
class Retries:
    """Knows an act again by the key that its client gave it, and by its contents.

    ``in_turn`` holds a text among all processes, so that two tries at once make one upload.
    """

    index: Index
    records: Records
    in_turn: InTurn
    now: Callable[[], datetime]

    def turn(
        self, key: str | None, is_gone: Callable[[], bool] = lambda: False
    ) -> AbstractContextManager[None]:
        """Hold the key from before `receipts` until the act's uploads are published.

        Raises `Busy` when the try before this one takes long, and `ClientGone`.
        """
        if not key:
            return nullcontext()
        return self.in_turn(f"idempotency-key {key}", lambda: check_client(is_gone))

    def receipts(self, key: str | None, contents: Sequence[Digest]) -> list[Receipt | None]:
        """Of each content of an act, the receipt of its first try, where there was one.

        A content is a SHA-256; of a tree that came as its files, its manifest's.

        Raises `KeyReused` when something else came with this key.
        """
        if not key:
            return [None] * len(contents)
        earlier = list(self._earlier(key, self.now() - REMEMBERED))
        receipts = [_taken(earlier, content) for content in contents]
        if earlier:
            raise KeyReused(
                f"The Idempotency-Key {key[:40]!r} came with another content in upload "
                f"{earlier[0].id}; choose a new key for each upload.",
                upload=str(earlier[0].id),
            )
        return receipts

    def _earlier(self, key: str, since: datetime) -> Iterator[Record]:
        for upload in self._ids(key, since):
            with suppress(UploadNotFound, ValueError):
                record = self.records.load(upload)
                if record.idempotency_key == key and record.received >= since:
                    yield record

    def _ids(self, key: str, since: datetime) -> Iterator[UploadId]:
        with suppress(IndexNotReady):
            found = self.index.find_retried(key, since=since)
            if found or self.index.is_complete():
                return iter(found)
        # A restart is just when clients try again: a day's records are read rather than nothing.
        return self.records.ids(since_day=UploadId.new(since, 0).day)


def _taken(records: list[Record], content: Digest) -> Receipt | None:
    """The receipt of the first record of this content, which is taken out."""
    for number, record in enumerate(records):
        if _content_of(record) == content:
            return Receipt(records.pop(number), (_LOG,))
    return None


def _content_of(record: Record) -> Digest | None:
    return record.uploaded.blob.sha256 if record.uploaded else record.manifest
