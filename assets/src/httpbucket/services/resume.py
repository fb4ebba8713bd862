"""Resume takes an upload in pieces, over connections that break, and ends in the same ingest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import (
    BucketError,
    ClientGone,
    IndexNotReady,
    StorageFull,
    StorageUnavailable,
    TooLarge,
)
from httpbucket.domain.filename import FALLBACK_NAME
from httpbucket.domain.partial import OffsetMismatch, PartialId, PartialUpload
from httpbucket.domain.unpacking import UnpackWish
from httpbucket.domain.upload import Receipt
from httpbucket.domain.upload_path import safe_folder
from httpbucket.services.gathered import Gathered, Hashers
from httpbucket.services.ingest import Ingest, Offer
from httpbucket.services.pieces import Piece, append, append_checked, compare_last_byte
from httpbucket.services.retry import checked_key
from httpbucket.services.terms import Terms
from httpbucket.storage.base import HeldPartial, PartialUploads

#: How long a request waits for another one to let go of the same upload.
WAIT_SECONDS = 10.0

#: What the client says of its file that is no header of a template.
FILENAME, UNPACK, PATH, CHECKSUM = "filename", "unpack", "path", "checksum"
RETENTION, KEY = "retention-days", "idempotency-key"
_OF_THE_FILE = (FILENAME, UNPACK, PATH, CHECKSUM, RETENTION, KEY)

# After these the same last piece may be sent again; any other refusal is for good.
_MAY_BE_REPEATED = (ClientGone, IndexNotReady, StorageFull, StorageUnavailable)


@dataclass(frozen=True)
class Progress:
    """How far an upload is: bytes that came, until when it waits for more, what it became."""

    partial: PartialUpload
    offset: int
    expires: datetime
    receipt: Receipt | None = None


class Resume:
    """Collects the pieces. Who asks for an upload that another request is busy with gets it.

    The bytes are hashed as they come as long as one process sees all of them, and read again at
    the end otherwise.
    """

    def __init__(
        self,
        *,
        partials: PartialUploads,
        ingest: Ingest,
        digests: Sequence[str],
        max_content_length: int,
        partial_seconds: int,
        random_bits: Callable[[], int],
    ) -> None:
        self._partials = partials
        self._ingest = ingest
        self._digests = digests
        self._max_content_length = max_content_length
        self._lifetime = timedelta(seconds=partial_seconds)
        self._random_bits = random_bits
        self._hashers = Hashers()

    @property
    def headers(self) -> tuple[str, ...]:
        """What a client may say of an upload, in lower case, beside ``meta-`` headers."""
        return (*_OF_THE_FILE, *self._ingest.headers)

    @property
    def max_content_length(self) -> int:
        """The most bytes that an upload may have."""
        return self._max_content_length

    def create(self, length: int, *, said: Mapping[str, str], metadata: str) -> PartialId:
        """Begin an upload of ``length`` bytes.

        Raises `TooLarge`, `StorageFull`, and what is wrong with what is ``said``.
        """
        if length > self._max_content_length:
            raise TooLarge(self._max_content_length)
        self._terms(said)
        _where(said)
        _expected(said)
        number = f"{self._random_bits():016x}{self._random_bits():016x}"
        partial = PartialUpload(PartialId(number), length, dict(said), metadata)
        self._partials.create(partial)
        return partial.id

    def look(self, upload: PartialId) -> Progress:
        """How far the upload is. Raises `PartialNotFound`, `PartialBusy`."""
        with self._partials.hold(upload, seconds=WAIT_SECONDS) as held:
            return self._progress(held)

    def append(self, upload: PartialId, piece: Piece) -> Progress:
        """Take a piece; after the last one the upload is kept, and the receipt is given.

        What came of a piece that breaks off stays, unless it has a checksum. Raises as `look`,
        `OffsetMismatch`, `PieceMismatch`, `TooLarge`, what ``content`` raises, and what
        `Ingest.keep` raises: then the last byte may be sent again, if that can help.
        """
        with self._partials.hold(upload, seconds=WAIT_SECONDS) as held:
            offset = _offset(held)
            if piece.offset != offset:
                raise OffsetMismatch.at(piece.offset, offset=offset)
            if held.partial.upload is None:
                self._take(held, piece)
            if held.partial.upload is None and held.size == held.partial.length:
                receipt = self._finish(held, piece)
                return self._progress(held, receipt)
            return self._progress(held)

    def terminate(self, upload: PartialId) -> None:
        """Forget an unfinished upload. Raises as `look`."""
        with self._partials.hold(upload, seconds=WAIT_SECONDS) as held:
            held.remove()

    def expire(self, now: datetime) -> int:
        """Forget the uploads that nobody went on with in time; how many.

        With them goes what dead processes left of finished ones.
        """
        self._partials.sweep()
        return self._partials.expire((now - self._lifetime).timestamp())

    def _progress(self, held: HeldPartial, receipt: Receipt | None = None) -> Progress:
        expires = datetime.fromtimestamp(held.modified, UTC) + self._lifetime
        return Progress(held.partial, _offset(held), expires, receipt)

    def _take(self, held: HeldPartial, piece: Piece) -> None:
        if held.size == held.partial.length:
            compare_last_byte(held, piece.content)
            return
        hasher = self._hashers.take(held, self._digests)
        try:
            with held.when_wanted(piece.hang_up):
                if piece.expected:
                    append_checked(held, piece, hasher)
                else:
                    append(held, piece, hasher)
        finally:
            # Kept only when it saw exactly the bytes that stay.
            self._hashers.remember(held, hasher)

    def _terms(self, said: Mapping[str, str]) -> Terms:
        return Terms(
            wish=UnpackWish.parse(said.get(UNPACK, "")),
            headers={name: value for name, value in said.items() if name not in _OF_THE_FILE},
            days=self._ingest.parse_days(said.get(RETENTION, "")),
            idempotency_key=checked_key(said.get(KEY, "")),
        )

    def _finish(self, held: HeldPartial, piece: Piece) -> Receipt:
        content = Gathered(held, self._hashers.take(held, self._digests), self._digests)
        said = held.partial.said
        filename = said.get(FILENAME, FALLBACK_NAME)
        offer = Offer(content, filename, _where(said), _expected(said))
        try:
            terms = self._terms(said)
            # Should the process die before it is noted here what became of the upload.
            key = terms.idempotency_key or f"tus {held.partial.id}"
            terms = replace(terms, is_gone=piece.is_gone, idempotency_key=key)
            receipt = self._ingest.keep(offer, terms)
        except BucketError as refusal:
            if not isinstance(refusal, _MAY_BE_REPEATED):
                held.remove()
            raise
        finally:
            content.close()
        held.finish(receipt.record.id)
        return receipt


def _where(said: Mapping[str, str]) -> str:
    return safe_folder(said.get(PATH, ""))


def _expected(said: Mapping[str, str]) -> tuple[Digest, ...]:
    """The digests that the content is to have."""
    return tuple(Digest.parse(one.strip()) for one in said.get(CHECKSUM, "").split(",") if one)


def _offset(held: HeldPartial) -> int:
    """Where the client is to go on.

    While all bytes are there and the upload is not yet kept, the last one is asked for again:
    otherwise the client would believe that it was done.
    """
    if held.partial.upload is None and 0 < held.size == held.partial.length:
        return held.size - 1
    return held.size
