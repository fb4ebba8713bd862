"""Retries that bring what came already, because their client never read the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import IndexNotReady, InvalidKey, KeyReused, UploadNotFound
from httpbucket.domain.upload import Receipt, Record, UploadId
from httpbucket.services.unpack import check_client
from httpbucket.storage.base import Index, InTurn, Records

#: An Idempotency-Key is kept in records and in the index.
MOST_KEY_CHARACTERS = 255

#: How long a key is remembered.
REMEMBERED = timedelta(days=1)

#: Files are stamped by another clock than records, by some milliseconds.
_CLOCKS_DIFFER = timedelta(seconds=1)

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
    ) -> AbstractContextManager[datetime | None]:
        """Hold the key from before `receipts` until the act's uploads are published.

        Yields since when a process held it that died, for `receipts`: that one may have published
        what no index was told of.

        Raises `Busy` when the try before this one takes long, and `ClientGone`.
        """
        if not key:
            return nullcontext()
        return self.in_turn(f"idempotency-key {key}", lambda: check_client(is_gone))

    def receipts(
        self,
        key: str | None,
        contents: Sequence[Digest],
        broken_off: datetime | None,
    ) -> list[Receipt | None]:
        """Of each content of an act, the receipt of its first try, where there was one.

        A content is a SHA-256; of a tree that came as its files, its manifest's.

        Raises `KeyReused` when something else came with this key.
        """
        if not key:
            return [None] * len(contents)
        earlier = list(self._earlier(key, self.now() - REMEMBERED, broken_off))
        receipts = [_taken(earlier, content) for content in contents]
        if earlier:
            raise KeyReused(
                f"The Idempotency-Key {key[:40]!r} came with another content in upload "
                f"{earlier[0].id}; choose a new key for each upload.",
                upload=str(earlier[0].id),
            )
        return receipts

    def first(self, key: str, broken_off: datetime | None) -> Record | None:
        """The upload that came first with a key of which nobody asks what came with it."""
        return next(self._earlier(key, self.now() - REMEMBERED, broken_off), None)

    def _earlier(self, key: str, since: datetime, broken_off: datetime | None) -> Iterator[Record]:
        ids = set(self._ids(key, since))
        if broken_off:
            ids |= self._ids_on_disk(broken_off - _CLOCKS_DIFFER)
        for upload in sorted(ids, key=str):
            with suppress(UploadNotFound, ValueError):
                record = self.records.load(upload)
                if record.idempotency_key == key and record.received >= since:
                    yield record

    def _ids_on_disk(self, since: datetime) -> set[UploadId]:
        first = UploadId.new(since, 0)
        every = self.records.ids(since_day=first.day)
        return {upload for upload in every if str(upload) >= str(first)}

    def _ids(self, key: str, since: datetime) -> Iterator[UploadId]:
        with suppress(IndexNotReady):
            # With a gap it may know some of the uploads of an act.
            if self.index.is_complete():
                return iter(self.index.find_retried(key, since=since))
        # A restart is just when clients try again: a day's records are read rather than nothing.
        return self.records.ids(since_day=UploadId.new(since, 0).day)


def checked_key(text: str) -> str | None:
    """An ``Idempotency-Key`` as clients say it; None for nothing. Raises `InvalidKey`."""
    key = text.strip()
    if len(key) > MOST_KEY_CHARACTERS or not key.isprintable():
        raise InvalidKey(
            f"The Idempotency-Key is too long or no text; expected at most {MOST_KEY_CHARACTERS} "
            "characters, for example of a UUID."
        )
    return key or None


def _taken(records: list[Record], content: Digest) -> Receipt | None:
    """The receipt of the first record of this content, which is taken out."""
    for number, record in enumerate(records):
        if _content_of(record) == content:
            return Receipt(records.pop(number), (_LOG,), is_replay=True)
    return None


def _content_of(record: Record) -> Digest | None:
    return record.uploaded.blob.sha256 if record.uploaded else record.manifest
