"""Lists of digests in bodies: read from the stream, answered in the form in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from flask import Response

from httpbucket.domain.checksum_list import read_checksum_list
from httpbucket.domain.checksum_runs import ChecksumRun, read_runs, runs_of
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

    runs: Sequence[ChecksumRun]
    is_json: bool

    def answer(self, raws: Sequence[bytes]) -> Response:
        """Some of them, in the form and byte for byte as they came."""
        if self.is_json:
            return Response(b"[" + b",\n ".join(raws) + b"]\n", mimetype="application/json")
        response = Response(_some_at_a_time(raws), mimetype="text/plain")
        response.content_length = sum(map(len, raws))
        return response


def _some_at_a_time(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Some thousand: all of them together are as long as the body was."""
    for start in range(0, len(lines), _LINES_AT_ONCE):
        yield b"".join(lines[start : start + _LINES_AT_ONCE])


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
    all_pieces = chain([first], pieces)
    if is_json:
        entries = read_checksum_list(all_pieces, preferred=preferred)
        runs = runs_of(islice(entries, MOST_CHECKSUMS + 1))
    else:
        runs = read_runs(all_pieces, preferred=preferred)
    return ChecksumBody(_at_most(runs), is_json)


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MOST_BYTES:
            raise _too_many()
        yield piece


def _at_most(runs: Iterable[ChecksumRun]) -> list[ChecksumRun]:
    kept, count = [], 0
    for run in runs:
        count += len(run.values)
        if count > MOST_CHECKSUMS:
            raise _too_many()
        kept.append(run)
    return kept


def _too_many() -> TooManyChecksums:
    return TooManyChecksums(
        f"One question holds at most {MOST_CHECKSUMS} digests in {MOST_BYTES} bytes; "
        "ask in several (split --lines=100000).",
        most_checksums=MOST_CHECKSUMS,
        most_bytes=MOST_BYTES,
    )
