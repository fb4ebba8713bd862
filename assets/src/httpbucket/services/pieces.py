"""The pieces of an upload that comes over several connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from httpbucket.content.hashing import ContentHasher
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import MalformedBody
from httpbucket.domain.partial import PieceMismatch
from httpbucket.storage.base import HeldPartial


@dataclass(frozen=True)
class Piece:
    """What one request brings: ``content`` is to follow the first ``offset`` bytes.

    ``expected`` are digests that all of it is to have. ``hang_up`` makes ``content`` end soon,
    called from another thread. ``is_gone`` is as in `Terms`.
    """

    offset: int
    content: Iterable[bytes]
    expected: Sequence[Digest] = ()
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


def append_checked(held: HeldPartial, piece: Piece, hasher: ContentHasher | None) -> None:
    start = held.size
    own = ContentHasher({one.algorithm for one in piece.expected})
    held.doubt()
    try:
        append(held, replace(piece, content=_hashed(piece.content, own)), hasher)
        for expected in piece.expected:
            _require_equal(expected, own.digests()[expected.algorithm])
    except BaseException:
        held.cut(start)
        raise
    finally:
        held.trust()


def _require_equal(expected: Digest, actual: str) -> None:
    if actual != expected.hex:
        raise PieceMismatch(
            f"The piece has the digest {expected.algorithm}:{actual}, not {expected}.",
            expected=str(expected),
            actual=f"{expected.algorithm}:{actual}",
        )


def _hashed(pieces: Iterable[bytes], hasher: ContentHasher) -> Iterable[bytes]:
    for piece in pieces:
        hasher.update(piece)
        yield piece


def compare_last_byte(held: HeldPartial, content: Iterable[bytes]) -> None:
    """All bytes are there, and a blob may already be made of them: nothing is written any more."""
    sent = b"".join(content)
    with held.open() as reader:
        # Of an empty upload there is no last byte.
        reader.seek(max(held.size - 1, 0))
        last = reader.read(1)
    if sent not in (b"", last):
        raise MalformedBody("The last byte was sent before, and was another one.")
