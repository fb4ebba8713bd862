"""Tar files that are made while they are sent (POSIX.1-2001 pax format)."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

_PIECE = 256 * 1024
_FILE, _EXECUTABLE, _DIRECTORY = 0o644, 0o755, 0o755


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file, which is opened when its turn comes; or an empty directory, without ``open``.

    ``modified`` is seconds since 1970.
    """

    name: str
    size: int
    modified: int
    open: Callable[[], BinaryIO] | None = None
    executable: bool = False


def tar_pieces(members: Iterable[TarMember]) -> Iterator[bytes]:
    """The tar of ``members``, piece by piece, in constant memory.

    Raises EOFError for a file that is shorter than it was said to be.
    """
    for member in members:
        yield _header(member)
        if member.open is not None:
            with member.open() as reader:
                yield from read_exactly(reader, member.size)
            yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def read_exactly(reader: BinaryIO, size: int) -> Iterator[bytes]:
    """The next ``size`` bytes, in pieces. Raises EOFError when there are less."""
    while size:
        piece = reader.read(min(size, _PIECE))
        if not piece:
            raise EOFError(f"a file ends {size} bytes too early")
        size -= len(piece)
        yield piece


def _header(member: TarMember) -> bytes:
    header = tarfile.TarInfo(member.name)
    header.size = member.size
    header.mtime = member.modified
    header.mode = _EXECUTABLE if member.executable else _FILE
    if member.open is None:
        header.type, header.mode = tarfile.DIRTYPE, _DIRECTORY
    return header.tobuf(tarfile.PAX_FORMAT)
