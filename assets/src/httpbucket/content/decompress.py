"""Undo one compression of a stream, member by member, in bounded memory and within a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from httpbucket.content.decoders import (
    Decoder,
    bzip2_decoder,
    decoded,
    gzip_decoder,
    xz_decoder,
    zstd_decoder,
)
from httpbucket.content.findings import Findings
from httpbucket.content.kind import Compression
from httpbucket.content.limits import CHUNK_SIZE, Budget
from httpbucket.content.zstd_frames import FRAME_MAGIC
from httpbucket.domain.unpacking import CorruptArchive, TruncatedArchive

#: The finding about bytes behind the end of a compressed stream.
TRAILING_BYTES = "trailing-bytes"

# A decoder hands back what follows its stream. Fed a MiB at once, a file of 20-byte members would
# copy that MiB for each of them; so a member's first piece is small and each next one twice that.
_FIRST_PIECE = 512
_LARGEST_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Format:
    new_decoder: Callable[[], Decoder]
    magics: tuple[bytes, ...]


_SKIPPABLE_MAGICS = tuple(bytes([0x50 + low]) + b"\x2a\x4d\x18" for low in range(16))

_FORMATS = {
    Compression.GZIP: _Format(gzip_decoder, (b"\x1f\x8b",)),
    Compression.BZIP2: _Format(bzip2_decoder, (b"BZh",)),
    Compression.XZ: _Format(xz_decoder, (b"\xfd7zXZ\x00",)),
    Compression.ZSTD: _Format(zstd_decoder, (FRAME_MAGIC, *_SKIPPABLE_MAGICS)),
}


def decompress(
    stream: BinaryIO, compression: Compression, *, budget: Budget, findings: Findings
) -> Iterator[bytes]:
    """Give the content of a compressed ``stream`` in pieces of at most 1 MiB.

    Several members, streams or frames in a row are one content; zeros between and behind them are
    padding (tapes, RFC 1952 2.2, xz format 2.2). Other bytes behind a complete member are told as
    a finding and end the content, as gzip(1) does. Raises `CorruptArchive`, `TruncatedArchive`,
    `UnsupportedArchive` (a window larger than memory allows), `LimitExceeded`.
    """
    pieces = _Pieces(stream)
    layout = _FORMATS[compression]
    if not _another_begins(pieces, layout):
        raise CorruptArchive(f"The file is not {compression.value}, though it looks like it.")
    while True:
        yield from _one_member(pieces, layout.new_decoder(), budget)
        if not _another_begins(pieces, layout):
            break
    if pieces.look(1):
        sentence = f"Bytes behind the end of the {compression.value} stream were ignored."
        findings.add(TRAILING_BYTES, sentence)


class _Pieces:
    """Cuts a stream into pieces, and takes back what a decoder did not use of the last one."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._buffer = b""
        self._position = 0

    def take(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end of the stream."""
        if self._position == len(self._buffer):
            self._buffer, self._position = self._stream.read(CHUNK_SIZE), 0
        piece = self._buffer[self._position : self._position + size]
        self._position += len(piece)
        return piece

    def give_back(self, size: int) -> None:
        """Offer the last ``size`` bytes of the piece taken last once more."""
        self._position -= size

    def look(self, size: int) -> bytes:
        """The next ``size`` bytes, which stay; fewer at the end of the stream."""
        while len(self._buffer) - self._position < size:
            more = self._stream.read(CHUNK_SIZE)
            self._buffer, self._position = self._buffer[self._position :] + more, 0
            if not more:
                break
        return self._buffer[self._position : self._position + size]

    def skip_zeros(self) -> None:
        """Go past the zeros that come next."""
        size = _FIRST_PIECE
        while piece := self.take(size):
            if kept := len(piece.lstrip(b"\x00")):
                self.give_back(kept)
                return
            size = min(2 * size, _LARGEST_PIECE)


def _one_member(pieces: _Pieces, decoder: Decoder, budget: Budget) -> Iterator[bytes]:
    size = _FIRST_PIECE
    while not decoder.eof:
        hungry = decoder.needs_input
        piece = pieces.take(size) if hungry else b""
        output = decoded(decoder, piece, CHUNK_SIZE)
        budget.spend(len(output))
        if output:
            yield output
        elif hungry and not piece and not decoder.eof:
            raise _cut_short()
        size = min(2 * size, _LARGEST_PIECE)
    pieces.give_back(len(decoder.unused_data))


def _another_begins(pieces: _Pieces, layout: _Format) -> bool:
    """Skip zeros, then say whether a member follows. Raises `TruncatedArchive` inside a magic."""
    pieces.skip_zeros()
    head = pieces.look(max(map(len, layout.magics)))
    if head.startswith(layout.magics):
        return True
    if head and any(magic.startswith(head) for magic in layout.magics):
        raise _cut_short()
    return False


def _cut_short() -> TruncatedArchive:
    return TruncatedArchive("The compressed file ends too early; its upload was perhaps cut short.")
