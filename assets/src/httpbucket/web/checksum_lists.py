"""Lists of digests in bodies: read from the stream, answered in the form in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import BinaryIO

from flask import Response

from httpbucket.domain.checksum_list import read_checksum_list
from httpbucket.domain.checksum_runs import read_runs, runs_of
from httpbucket.domain.errors import TooManyChecksums
from httpbucket.services.held_checksums import HeldChecksums
from httpbucket.services.spool import Spool
from httpbucket.web.request import BucketRequest, refuse_coded

#: The longest list: so many digests, and so many bytes.
MOST_CHECKSUMS = 100_000
MOST_BYTES = 16 * 1024**2

_PIECE = 256 * 1024


def read_list(asked: BucketRequest, held: HeldChecksums, *, preferred: str) -> bool:
    """Read the body, whatever curl says it is, into ``held``; whether it is an array, not lines.

    Bare hex means ``preferred`` first. Raises `MalformedChecksums`, `TooManyChecksums`, and what
    reading a body raises.
    """
    refuse_coded(asked)
    if (asked.content_length or 0) > MOST_BYTES:
        raise _too_many()
    # Before anything asks for the form: curl --data-binary says that the body is one.
    pieces = _bounded(asked.pieces(_PIECE))
    first = next(pieces, b"")
    is_array = asked.mimetype == "application/json" or first.lstrip().startswith(b"[")
    all_pieces = chain([first], pieces)
    if is_array:
        entries = read_checksum_list(all_pieces, preferred=preferred)
        runs = runs_of(islice(entries, MOST_CHECKSUMS + 1))
    else:
        runs = read_runs(all_pieces, preferred=preferred)
    for run in runs:
        if held.total + run.total > MOST_CHECKSUMS:
            raise _too_many()
        held.add(run)
    return is_array


def answer_with(
    held: HeldChecksums, marks: Sequence[int], spool: Spool, *, is_array: bool
) -> Response:
    """Those of the digests that have a mark, in the form and byte for byte as they came.

    They wait in ``spool``, which is discarded with the answer: all of them together are as long as
    the body was.
    """
    try:
        for piece in _as_array(held, marks) if is_array else _marked(held, marks, b""):
            spool.write(piece)
        reader = spool.open()
    except BaseException:
        spool.discard()
        raise
    mimetype = "application/json" if is_array else "text/plain"
    response = Response(_pieces(reader), mimetype=mimetype)
    response.content_length = spool.size
    response.call_on_close(reader.close)
    response.call_on_close(spool.discard)
    return response


def _as_array(held: HeldChecksums, marks: Sequence[int]) -> Iterator[bytes]:
    before = b"["
    for piece in _marked(held, marks, b",\n "):
        yield before
        yield piece
        before = b",\n "
    yield b"[]\n" if before == b"[" else b"]\n"


def _marked(held: HeldChecksums, marks: Sequence[int], between: bytes) -> Iterator[bytes]:
    if not any(marks):
        return
    place = 0
    for run in held:
        raws = run.raws_marked(marks[place : place + run.total])
        if raws:
            yield between.join(raws)
        place += run.total


def _pieces(reader: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: reader.read(_PIECE), b"")


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MOST_BYTES:
            raise _too_many()
        yield piece


def _too_many() -> TooManyChecksums:
    return TooManyChecksums(
        f"One question holds at most {MOST_CHECKSUMS} digests in {MOST_BYTES} bytes; "
        "ask in several (split --lines=100000).",
        most_checksums=MOST_CHECKSUMS,
        most_bytes=MOST_BYTES,
    )
