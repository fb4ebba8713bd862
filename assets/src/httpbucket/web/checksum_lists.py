"""Lists of digests in bodies: read from the stream, answered in the form in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from flask import Response

from httpbucket.domain.checksum_file import ChecksumEntry, read_checksum_file
from httpbucket.domain.checksum_list import read_checksum_list
from httpbucket.domain.errors import TooManyChecksums
from httpbucket.web.request import BucketRequest, refuse_coded

#: The longest list: so many digests, and so many bytes.
MOST_CHECKSUMS = 100_000
MOST_BYTES = 16 * 1024**2

# gunicorn copies what it read ahead on every read.
_PIECE = 1024**2
_LINES_AT_ONCE = 2_000


@dataclass(frozen=True)
class ChecksumBody:
    """What a client listed; ``is_json`` in a JSON array, and else in lines."""

    entries: Sequence[ChecksumEntry]
    is_json: bool

    def answer(self, chosen: Sequence[ChecksumEntry]) -> Response:
        """Some of the entries, in the form and byte for byte as they came."""
        if self.is_json:
            listed = b",\n ".join([entry.raw for entry in chosen])
            return Response(b"[" + listed + b"]\n", mimetype="application/json")
        response = Response(_lines_of(chosen), mimetype="text/plain")
        response.content_length = sum(len(entry.raw) for entry in chosen)
        return response


def _lines_of(entries: Sequence[ChecksumEntry]) -> Iterator[bytes]:
    """Some thousand at a time: all of them together are as long as the body was."""
    for start in range(0, len(entries), _LINES_AT_ONCE):
        yield b"".join([entry.raw for entry in entries[start : start + _LINES_AT_ONCE]])


def read_list(asked: BucketRequest, *, preferred: str) -> ChecksumBody:
    """Read the body, whatever curl says it is: an array if it begins like one, or lines.

    Bare hex means ``preferred`` first. Raises `MalformedChecksums`, `TooManyChecksums`, and what
    reading a body raises.
    """
    refuse_coded(asked)
    if (asked.content_length or 0) > MOST_BYTES:
        raise _too_many()
    # Before anything asks for the form: curl --data-binary says that the body is one.
    pieces = _bounded(asked.pieces(_PIECE))
    first = next(pieces, b"")
    is_json = asked.mimetype == "application/json" or first.lstrip().startswith(b"[")
    read = read_checksum_list if is_json else read_checksum_file
    entries = read(chain([first], pieces), preferred=preferred)
    return ChecksumBody(_at_most(entries), is_json)


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MOST_BYTES:
            raise _too_many()
        yield piece


def _at_most(entries: Iterable[ChecksumEntry]) -> list[ChecksumEntry]:
    kept = list(islice(entries, MOST_CHECKSUMS + 1))
    if len(kept) > MOST_CHECKSUMS:
        raise _too_many()
    return kept


def _too_many() -> TooManyChecksums:
    return TooManyChecksums(
        f"One question holds at most {MOST_CHECKSUMS} digests in {MOST_BYTES} bytes; "
        "ask in several (split --lines=100000).",
        most_checksums=MOST_CHECKSUMS,
        most_bytes=MOST_BYTES,
    )
