"""One member's content out of a zip, counted and summed while it is decoded."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from httpbucket.content.decoders import (
    Decoder,
    bzip2_decoder,
    decoded,
    deflate_decoder,
    inflated,
    lzma_decoder,
)
from httpbucket.content.findings import shown
from httpbucket.content.limits import CHUNK_SIZE, Budget
from httpbucket.content.zip_directory import ZipRecord
from httpbucket.domain.unpacking import CorruptArchive, TruncatedArchive

_STORED = 0
_DEFLATED = 8
_BZIP2 = 12
_LZMA = 14

#: The methods that `zip_content` decodes (APPNOTE 4.4.5).
METHODS = frozenset((_STORED, _DEFLATED, _BZIP2, _LZMA))

_LZMA_HEADER_SIZE = 9


def zip_content(stream: BinaryIO, record: ZipRecord, start: int, budget: Budget) -> Iterator[bytes]:
    """Give the content that begins at ``start``, in pieces of at most 1 MiB.

    Never more than the size that the directory states: one byte more, or less, or another checksum
    raises `CorruptArchive`.
    """
    crc32, left = 0, record.size
    for piece in _decoded(_Raw(stream, start, record.compressed_size), record):
        budget.spend(len(piece))
        left -= len(piece)
        if left < 0:
            raise _differs(record, "size")
        crc32 = zlib.crc32(piece, crc32)
        yield piece
    if left:
        raise _differs(record, "size")
    if crc32 != record.crc32:
        raise _differs(record, "checksum")


def small_content(stream: BinaryIO, record: ZipRecord, start: int, budget: Budget) -> bytes:
    """The same of a member that `is_small`, at once: half of the time for a content of 2 KB."""
    stream.seek(start)
    content, is_whole = stream.read(record.compressed_size), True
    if len(content) < record.compressed_size:
        raise _cut_short()
    if record.method == _DEFLATED:
        # One byte more than is stated shows a lie; what else would come is never decoded.
        content, is_whole = inflated(content, record.size + 1)
    budget.spend(len(content))
    if not is_whole or len(content) != record.size:
        raise _differs(record, "size")
    if zlib.crc32(content) != record.crc32:
        raise _differs(record, "checksum")
    return content


def is_small(record: ZipRecord) -> bool:
    """Whether a member's content is read by `small_content`."""
    size = max(record.size, record.compressed_size)
    return size <= CHUNK_SIZE and record.method in (_STORED, _DEFLATED)


class _Raw:
    """A member's bytes as they lie in the zip; it seeks each time, for others read there too."""

    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        self._stream = stream
        self._position = start
        self.left = size

    def take(self, size: int = CHUNK_SIZE) -> bytes:
        """The next bytes, at most ``size``; none at the end of the member."""
        self._stream.seek(self._position)
        piece = self._stream.read(min(size, self.left))
        if self.left and not piece:
            raise _cut_short()
        self._position += len(piece)
        self.left -= len(piece)
        return piece


def _decoded(raw: _Raw, record: ZipRecord) -> Iterator[bytes]:
    if record.method == _STORED:
        while piece := raw.take():
            yield piece
        return
    yield from _drained(_decoder(raw, record), raw, record)


def _decoder(raw: _Raw, record: ZipRecord) -> Decoder:
    if record.method == _DEFLATED:
        return deflate_decoder()
    if record.method == _BZIP2:
        return bzip2_decoder()
    header = raw.take(_LZMA_HEADER_SIZE)
    if len(header) < _LZMA_HEADER_SIZE or header[2:4] != b"\x05\x00":
        raise CorruptArchive(f"Member {shown(record.name)} has a malformed LZMA header.")
    return lzma_decoder(header[4:])


def _drained(decoder: Decoder, raw: _Raw, record: ZipRecord) -> Iterator[bytes]:
    left = record.size
    while not decoder.eof:
        hungry = decoder.needs_input
        piece = raw.take() if hungry else b""
        # One byte more than is stated shows a lie; what else would come is never decoded.
        output = decoded(decoder, piece, max(1, min(CHUNK_SIZE, left + 1)))
        left -= len(output)
        if output:
            yield output
        elif hungry and not piece and not decoder.eof:
            break
    ended = decoder.eof or (record.method == _LZMA and left == 0)
    if not ended or decoder.unused_data or raw.left:
        raise _differs(record, "size")


def _cut_short() -> TruncatedArchive:
    return TruncatedArchive("The zip ends inside a member.")


def _differs(record: ZipRecord, what: str) -> CorruptArchive:
    sentence = f"Member {shown(record.name)} has another {what} than the zip's directory says."
    return CorruptArchive(sentence)
