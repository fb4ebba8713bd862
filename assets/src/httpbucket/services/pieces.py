"""The pieces of an upload that comes over several connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from httpbucket.content.hashing import ContentHasher
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import MalformedBody
from httpbucket.domain.partial import PieceMismatch
from httpbucket.storage.base import HeldPartial


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


def append(held: HeldPartial, piece: Piece, hasher: ContentHasher | None) -> None:
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


def append_checked(
    held: HeldPartial, piece: Piece, hasher: ContentHasher | None, checksum: Digest
) -> None:
    start = held.size
    own = ContentHasher([checksum.algorithm])
    held.doubt()
    try:
        append(held, Piece(piece.offset, _hashed(piece.content, own)), hasher)
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


def compare_last_byte(held: HeldPartial, content: Iterable[bytes]) -> None:
    """All bytes are there, and a blob may already be made of them: nothing is written any more."""
    sent = b"".join(content)
    with held.open() as reader:
        reader.seek(-1, 2)
        last = reader.read(1)
    if sent not in (b"", last):
        raise MalformedBody("The last byte was sent before, and was another one.")
