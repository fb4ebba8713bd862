"""A tar as blocks of 512 bytes: what was announced is read, or skipped before the next header."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from httpbucket.content.limits import CHUNK_SIZE
from httpbucket.content.tar_header import BLOCK_SIZE
from httpbucket.domain.unpacking import CorruptArchive, TruncatedArchive

#: What is read at once. Most members are smaller; by way of the stream each would take two calls.
_READ_SIZE = 128 * 1024


@dataclass(slots=True)
class Blocks:
    """A tar's stream, and how many bytes of the current member's blocks are ``left`` in it."""

    stream: BinaryIO
    left: int = 0
    _piece: bytes = b""
    _position: int = 0

    def header(self) -> bytes:
        """The next block, behind what is left of the current member."""
        while self.left:
            self.take(min(self.left, CHUNK_SIZE))
        self.left = BLOCK_SIZE
        return self.take(BLOCK_SIZE)

    def announce(self, size: int) -> None:
        """Say that ``size`` bytes follow, in whole blocks."""
        self.left = -(-size // BLOCK_SIZE) * BLOCK_SIZE

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes, at most 1 MiB, of what was announced."""
        if size > self.left:
            raise CorruptArchive("A member of the tar is shorter than its own headers say.")
        self.left -= size
        start, end = self._position, self._position + size
        if end > len(self._piece):
            self._read(size)
            start, end = 0, size
        self._position = end
        return self._piece[start:end]

    def take_all(self, size: int) -> Iterator[bytes]:
        """The next ``size`` bytes in pieces of at most 1 MiB."""
        while size:
            piece = self.take(min(size, CHUNK_SIZE))
            size -= len(piece)
            yield piece

    def whole(self, size: int) -> bytes:
        """``size`` bytes, at most 1 MiB, in one read with the padding behind them."""
        self.announce(size)
        return self.take(self.left)[:size]

    def another_begins(self) -> bool:
        """Skip padding; whether something follows, which `header` gives next."""
        while block := self._next_block():
            if block.strip(b"\x00"):
                self._position -= len(block)
                return True
        return False

    def rest_is_zero(self) -> bool:
        """Whether nothing but padding follows."""
        piece, self._piece = self._piece[self._position :], b""
        while piece or (piece := self.stream.read(CHUNK_SIZE)):
            if piece.strip(b"\x00"):
                return False
            piece = b""
        return True

    def _next_block(self) -> bytes:
        """The next block, whatever was announced; shorter, or empty, at the end."""
        while len(self._piece) - self._position < BLOCK_SIZE:
            more = self.stream.read(_READ_SIZE)
            if not more:
                break
            self._piece, self._position = self._piece[self._position :] + more, 0
        block = self._piece[self._position : self._position + BLOCK_SIZE]
        self._position += len(block)
        return block

    def _read(self, size: int) -> None:
        """Have at least ``size`` bytes at hand, of those that come next."""
        pieces = [self._piece[self._position :]]
        missing = size - len(pieces[0])
        self._piece, self._position = b"", 0
        while missing > 0:
            more = self.stream.read(max(missing, _READ_SIZE))
            if not more:
                raise TruncatedArchive("The tar ends too early; its upload was perhaps cut short.")
            pieces.append(more)
            missing -= len(more)
        self._piece = b"".join(pieces)
