"""A tar as blocks of 512 bytes: what was announced is read, or skipped before the next header."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from httpbucket.content.limits import CHUNK_SIZE
from httpbucket.content.tar_header import BLOCK_SIZE
from httpbucket.domain.unpacking import CorruptArchive, TruncatedArchive


@dataclass(slots=True)
class Blocks:
    """A tar's stream, and how many bytes of the current member's blocks are ``left`` in it."""

    stream: BinaryIO
    left: int = 0
    _first: bytes = b""

    def header(self) -> bytes:
        """The next block, behind what is left of the current member."""
        if self._first:
            block, self._first = self._first, b""
            return block
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
        piece = self.stream.read(size)
        while len(piece) < size:
            more = self.stream.read(size - len(piece))
            if not more:
                raise TruncatedArchive("The tar ends too early; its upload was perhaps cut short.")
            piece += more
        return piece

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
        while block := self.stream.read(BLOCK_SIZE):
            if block.strip(b"\x00"):
                self._first = block
                return True
        return False

    def rest_is_zero(self) -> bool:
        """Whether nothing but padding follows."""
        while piece := self.stream.read(CHUNK_SIZE):
            if piece.strip(b"\x00"):
                return False
        return True
