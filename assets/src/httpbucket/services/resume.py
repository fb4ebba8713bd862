"""Resume takes an upload in pieces, over connections that break, and ends in the same ingest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from httpbucket.content.hashing import ContentHasher
from httpbucket.content.media_type import HEAD_BYTES
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import (
    BucketError,
    ClientGone,
    IndexNotReady,
    MalformedBody,
    StorageFull,
    StorageUnavailable,
    TooLarge,
)
from httpbucket.domain.filename import FALLBACK_NAME
from httpbucket.domain.partial import OffsetMismatch, PartialId, PartialUpload, PieceMismatch
from httpbucket.domain.unpacking import UnpackWish
from httpbucket.domain.upload import Receipt
from httpbucket.domain.upload_path import safe_folder
from httpbucket.services.ingest import Ingest, Offer, Terms
from httpbucket.storage.base import BlobStore, HeldPartial, PartialUploads, StagedFile

#: How long a request waits for another one to let go of the same upload.
WAIT_SECONDS = 10.0

#: What the client says of its file that is no header of a template.
FILENAME, UNPACK, PATH, CHECKSUM = "filename", "unpack", "path", "checksum"
_OF_THE_FILE = (FILENAME, UNPACK, PATH, CHECKSUM)

#: Of so many uploads the hashers are remembered between pieces. Each is a few hundred bytes.
_REMEMBERED = 256

_READ_BYTES = 1024 * 1024

# After these the same last piece may be sent again; any other refusal is for good.
_MAY_BE_REPEATED = (ClientGone, IndexNotReady, StorageFull, StorageUnavailable)


@dataclass(frozen=True)
class Progress:
    """How far an upload is: bytes that came, until when it waits for more, what it became."""

    partial: PartialUpload
    offset: int
    expires: datetime
    receipt: Receipt | None = None


@dataclass(frozen=True)
class Piece:
    """What one request brings: ``content`` is to follow the first ``offset`` bytes.

    ``checksum`` is the digest that all of it is to have. ``hang_up`` makes ``content`` end soon,
    called from another thread. ``is_gone`` is as in `Terms`.
    """

    offset: int
    content: Iterable[bytes]
    checksum: Digest | None = None
    hang_up: Callable[[], None] = lambda: None
    is_gone: Callable[[], bool] = lambda: False


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
        self._hashers = _Hashers()

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
        _read(said)
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
        """Forget the uploads that nobody went on with in time; how many."""
        return self._partials.expire((now - self._lifetime).timestamp())

    def _progress(self, held: HeldPartial, receipt: Receipt | None = None) -> Progress:
        expires = datetime.fromtimestamp(held.modified, UTC) + self._lifetime
        return Progress(held.partial, _offset(held), expires, receipt)

    def _take(self, held: HeldPartial, piece: Piece) -> None:
        if held.size == held.partial.length:
            _compare_last_byte(held, piece.content)
            return
        hasher = self._hashers.take(held, self._digests)
        try:
            with held.when_wanted(piece.hang_up):
                if piece.checksum:
                    _append_checked(held, piece, hasher, piece.checksum)
                else:
                    _append(held, piece, hasher)
        finally:
            # Kept only when it saw exactly the bytes that stay.
            self._hashers.remember(held, hasher)

    def _finish(self, held: HeldPartial, piece: Piece) -> Receipt:
        content = _Gathered(held, self._hashers.take(held, self._digests), self._digests)
        said, wish, path, expected = held.partial.said, *_read(held.partial.said)
        offer = Offer(content, said.get(FILENAME, FALLBACK_NAME), path, expected)
        terms = Terms(
            wish=wish,
            headers={name: value for name, value in said.items() if name not in _OF_THE_FILE},
            is_gone=piece.is_gone,
            # Should the process die before it is noted here what became of the upload.
            idempotency_key=f"tus {held.partial.id}",
        )
        try:
            receipt = self._ingest.keep(offer, terms)
        except BucketError as refusal:
            if not isinstance(refusal, _MAY_BE_REPEATED):
                held.remove()
            raise
        finally:
            content.close()
        held.finish(receipt.record.id)
        return receipt


def _read(said: Mapping[str, str]) -> tuple[UnpackWish, str, tuple[Digest, ...]]:
    """Whether to unpack, the folder, the digests that the content is to have."""
    checksum = said.get(CHECKSUM, "")
    expected = (Digest.parse(checksum),) if checksum else ()
    return UnpackWish.parse(said.get(UNPACK, "")), safe_folder(said.get(PATH, "")), expected


def _offset(held: HeldPartial) -> int:
    """Where the client is to go on.

    While all bytes are there and the upload is not yet kept, the last one is asked for again:
    otherwise the client would believe that it was done.
    """
    if held.partial.upload is None and 0 < held.size == held.partial.length:
        return held.size - 1
    return held.size


def _append(held: HeldPartial, piece: Piece, hasher: ContentHasher | None) -> None:
    start, room = held.size, held.partial.length - held.size
    try:
        for part in piece.content:
            if len(part) > room:
                raise MalformedBody(
                    f"The piece goes beyond the {held.partial.length} bytes that were announced."
                )
            held.append(part)
            room -= len(part)
            if hasher:
                hasher.update(part)
    except MalformedBody:
        held.cut(start)
        raise
    finally:
        held.sync()


def _append_checked(
    held: HeldPartial, piece: Piece, hasher: ContentHasher | None, checksum: Digest
) -> None:
    start = held.size
    own = ContentHasher([checksum.algorithm])
    held.doubt()
    try:
        _append(held, Piece(piece.offset, _hashed(piece.content, own)), hasher)
        actual = own.digests()[checksum.algorithm]
        if actual != checksum.hex:
            raise PieceMismatch(
                f"The piece has the digest {checksum.algorithm}:{actual}, not {checksum}.",
                expected=str(checksum),
                actual=f"{checksum.algorithm}:{actual}",
            )
    except BaseException:
        held.cut(start)
        raise
    finally:
        held.trust()


def _hashed(pieces: Iterable[bytes], hasher: ContentHasher) -> Iterable[bytes]:
    for piece in pieces:
        hasher.update(piece)
        yield piece


def _compare_last_byte(held: HeldPartial, content: Iterable[bytes]) -> None:
    """All bytes are there, and a blob may already be made of them: nothing is written any more."""
    sent = b"".join(content)
    with held.open() as reader:
        reader.seek(-1, 2)
        last = reader.read(1)
    if sent not in (b"", last):
        raise MalformedBody("The last byte was sent before, and was another one.")


class _Gathered:
    """All bytes of an upload that came in pieces, as an ingest wants them."""

    def __init__(
        self, held: HeldPartial, hasher: ContentHasher | None, digests: Sequence[str]
    ) -> None:
        self._held = held
        self._hasher = hasher or _hash_again(held, digests)
        self._staged: StagedFile | None = None
        with held.open() as reader:
            self.head = reader.read(HEAD_BYTES)

    def describe(self, media_type_of: Callable[[bytes], str]) -> Descriptor:
        """What came."""
        hasher = self._hasher
        return Descriptor(hasher.digests(), hasher.size, hasher.crc32, media_type_of(self.head))

    def open(self) -> BinaryIO:
        """A reader of what came."""
        return self._held.open()

    def keep(self, blobs: BlobStore, digest: Digest) -> bool:
        """As `BlobStore.keep`; the bytes stay until the upload is published."""
        self._staged = self._held.staged()
        return blobs.keep(self._staged, digest)

    def close(self) -> None:
        """Let go of what was staged."""
        if self._staged:
            self._staged.discard()


def _hash_again(held: HeldPartial, digests: Sequence[str]) -> ContentHasher:
    hasher = ContentHasher(digests)
    with held.open() as reader:
        while piece := reader.read(_READ_BYTES):
            hasher.update(piece)
    return hasher


class _Hashers:
    """The hashers of uploads whose every byte this process saw, until their next piece comes."""

    def __init__(self) -> None:
        self._known: OrderedDict[PartialId, ContentHasher] = OrderedDict()
        self._guard = threading.Lock()

    def take(self, held: HeldPartial, digests: Sequence[str]) -> ContentHasher | None:
        """The hasher that saw the bytes that came; None when this process has none."""
        with self._guard:
            hasher = self._known.pop(held.partial.id, None)
        if held.size == 0:
            return ContentHasher(digests)
        return hasher if hasher and hasher.size == held.size else None

    def remember(self, held: HeldPartial, hasher: ContentHasher | None) -> None:
        """Keep it for the next piece, if it saw what came and nothing else."""
        if hasher is None or hasher.size != held.size:
            return
        with self._guard:
            self._known[held.partial.id] = hasher
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
