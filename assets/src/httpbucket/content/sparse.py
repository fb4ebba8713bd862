"""Sparse files in tars: where the stored pieces lie in the file, and the file's whole content.

Source: the GNU tar manual, "Storing Sparse Files": the old GNU format and PAX versions 0.0, 0.1
and 1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from httpbucket.content.limits import CHUNK_SIZE
from httpbucket.content.tar_blocks import Blocks
from httpbucket.content.tar_extensions import TarMember
from httpbucket.content.tar_header import BLOCK_SIZE, parse_number
from httpbucket.domain.unpacking import CorruptArchive, UnsupportedArchive

#: A map of more pieces takes more memory than an unpacking has.
MAX_PIECES = 65_536

_ZEROS = bytes(CHUNK_SIZE)

ReadBlock = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class SparseMap:
    """The pieces of a sparse file as (offset, size), in order, and the ``size`` of the whole.

    In the archive file the pieces lie one behind the other.
    """

    pieces: Sequence[tuple[int, int]]
    size: int

    @property
    def stored(self) -> int:
        """The bytes of all pieces together."""
        return sum(size for _, size in self.pieces)

    def content(self, read: Callable[[int], Iterable[bytes]]) -> Iterator[bytes]:
        """The file's content; ``read(size)`` gives the next stored bytes."""
        position = 0
        for offset, size in self.pieces:
            yield from _zeros(offset - position)
            yield from read(size)
            position = offset + size
        yield from _zeros(self.size - position)


def sparse_map(member: TarMember, blocks: Blocks) -> SparseMap | None:
    """The map of ``member``, read as far as it lies in ``blocks``; its pieces come next there.

    None for a member that has none. Raises `CorruptArchive`, `UnsupportedArchive`.
    """
    if member.type == b"S":
        found = _old_gnu_map(member, lambda: blocks.whole(BLOCK_SIZE))
        blocks.announce(member.size)
        return _agreeing(found, member.size)
    blocks.announce(member.size)
    if b"GNU.sparse.major" not in member.values:
        found = _pax_0_map(member)
        return _agreeing(found, member.size)
    if (member.values[b"GNU.sparse.major"], member.values.get(b"GNU.sparse.minor")) != (b"1", b"0"):
        raise UnsupportedArchive("A sparse member is stored in a format that is not known here.")
    lines = _Lines(lambda: blocks.take(BLOCK_SIZE))
    found = _pax_1_map(member, lines)
    return _agreeing(found, member.size - lines.blocks * BLOCK_SIZE)


def _old_gnu_map(member: TarMember, read_block: ReadBlock) -> SparseMap:
    pieces = list(_pairs(member.block[386:482]))
    more = member.block[482]
    while more:
        block = read_block()
        pieces += _pairs(block[:504])
        _check_count(len(pieces))
        more = block[504]
    return SparseMap(pieces, _number(member.block[483:495]))


def _pax_0_map(member: TarMember) -> SparseMap:
    listed = member.values.get(b"GNU.sparse.map")
    numbers = listed.split(b",") if listed else member.sparse_pairs
    _check_count(len(numbers) // 2)
    if len(numbers) % 2:
        raise _malformed()
    values = [_decimal(number) for number in numbers]
    pieces = list(zip(values[::2], values[1::2], strict=True))
    return SparseMap(pieces, _decimal(member.values[b"GNU.sparse.size"]))


def _pax_1_map(member: TarMember, lines: _Lines) -> SparseMap:
    count = lines.number()
    _check_count(count)
    pieces = [(lines.number(), lines.number()) for _ in range(count)]
    return SparseMap(pieces, _decimal(member.values.get(b"GNU.sparse.realsize", b"")))


def _agreeing(found: SparseMap, stored: int) -> SparseMap:
    """``found``, if its pieces follow one another inside the file and are all that is stored."""
    position = 0
    for offset, size in found.pieces:
        if offset < position:
            raise _malformed()
        position = offset + size
    if position > found.size or found.stored != stored:
        raise _malformed()
    return found


class _Lines:
    """Decimal numbers, a line each, out of blocks."""

    def __init__(self, read_block: ReadBlock) -> None:
        self._read_block = read_block
        self._waiting = b""
        self.blocks = 0

    def number(self) -> int:
        while b"\n" not in self._waiting:
            if len(self._waiting) >= BLOCK_SIZE:
                raise _malformed()
            self._waiting += self._read_block()
            self.blocks += 1
        line, _, self._waiting = self._waiting.partition(b"\n")
        return _decimal(line)


def _pairs(fields: bytes) -> Iterator[tuple[int, int]]:
    for start in range(0, len(fields), 24):
        if not fields[start]:
            return
        yield _number(fields[start : start + 12]), _number(fields[start + 12 : start + 24])


def _number(field: bytes) -> int:
    number = parse_number(field)
    if number is None or number < 0:
        raise _malformed()
    return number


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise _malformed()
    return int(text)


def _zeros(size: int) -> Iterator[bytes]:
    while size > 0:
        yield _ZEROS[:size]
        size -= CHUNK_SIZE


def _check_count(pieces: int) -> None:
    if pieces > MAX_PIECES:
        raise UnsupportedArchive(f"A sparse member is stored in more than {MAX_PIECES} pieces.")


def _malformed() -> CorruptArchive:
    return CorruptArchive("The map of a sparse member of the tar is malformed.")
