"""Zip files whose every byte is known before the first is sent.

Nothing is compressed, so sizes and checksums, which records and manifests know, tell where each
part will lie. Hence a zip has a length, an identity, and any range of it can be made by itself.
The format is PKWARE's APPNOTE 6.3.10; bigger parts have its Zip64 fields (4.5.3).
"""

from __future__ import annotations

import bisect
import functools
import hashlib
import itertools
from array import array
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from struct import Struct, pack
from typing import NamedTuple

_MASK32, _MASK16 = 0xFFFFFFFF, 0xFFFF
# What ordinary readers need, and what those need that read Zip64 (4.4.3).
_PLAIN, _ZIP64 = 20, 45
_UNIX = 3
_LOCAL_HEADER = Struct("<4s5H3L2H")
_RECORD = Struct("<4s2B5H3L5H2L")
_TIME = Struct("<2sHBl")
_UTF8_NAMES = 1 << 11
_FILE, _EXECUTABLE, _DIRECTORY = 0o100644, 0o100755, 0o040755
_DIRECTORY_OF_DOS = 0x10

#: Gives the bytes of a content by SHA-256, from a start on and so many of them.
ReadContent = Callable[[bytes, int, int], Iterator[bytes]]


class ZipMember(NamedTuple):
    """A file, or an empty directory, whose ``sha256`` is then empty and ``name`` ends in a slash.

    ``sha256`` is the raw digest, ``modified`` seconds since 1970.
    """

    name: bytes
    size: int
    crc32: int
    sha256: bytes
    modified: int
    executable: bool = False


class ZipLayout:
    """Where everything lies in the zip of some members; 100,000 of them take about 30 MB."""

    def __init__(self, members: Iterable[ZipMember]) -> None:
        self._members: list[ZipMember] = []
        self._starts = array("Q")
        identity = hashlib.sha256()
        position = 0
        for member in members:
            self._members.append(member)
            self._starts.append(position)
            identity.update(repr(member).encode())
            position += _size_of_header(member) + member.size
        self._directory = position
        self._records = array("Q", self._offsets_of_records())
        self._end = _end(len(self._members), self._directory, self._records[-1] - self._directory)
        #: Two zips with equal identities are equal byte for byte.
        self.identity = identity.hexdigest()
        #: In bytes.
        self.size = self._records[-1] + len(self._end)

    def pieces(self, start: int, stop: int, read: ReadContent) -> Iterator[bytes]:
        """The bytes of the zip from ``start`` to ``stop``."""
        for position, size, part in self._parts(start):
            if position >= stop:
                return
            first, last = max(start - position, 0), min(stop - position, size)
            if isinstance(part, ZipMember):
                yield from read(part.sha256, first, last - first)
            elif first < last:
                yield part[first:last]

    def _parts(self, start: int) -> Iterator[tuple[int, int, bytes | ZipMember]]:
        """Position, size and source of every part, from the one on that holds ``start``."""
        number = max(bisect.bisect_right(self._starts, start) - 1, 0)
        if start < self._directory:
            for member, position in zip(
                itertools.islice(self._members, number, None),
                itertools.islice(self._starts, number, None),
                strict=True,
            ):
                header = _local_header(member)
                yield position, len(header), header
                if member.size:
                    yield position + len(header), member.size, member
        number = max(bisect.bisect_right(self._records, start) - 1, 0)
        for index in range(number, len(self._members)):
            record = _record(self._members[index], self._starts[index])
            yield self._records[index], len(record), record
        yield self._records[-1], len(self._end), self._end

    def _offsets_of_records(self) -> Iterator[int]:
        """Where each member's record in the directory begins, and where the last one ends."""
        position = self._directory
        for member, start in zip(self._members, self._starts, strict=True):
            yield position
            position += _size_of_record(member, start)
        yield position


def _size_of_header(member: ZipMember) -> int:
    large = 20 if member.size >= _MASK32 else 0
    return _LOCAL_HEADER.size + len(member.name) + _TIME.size + large


def _local_header(member: ZipMember) -> bytes:
    is_large = member.size >= _MASK32
    large = pack("<2H2Q", 1, 16, member.size, member.size) if is_large else b""
    size = _MASK32 if is_large else member.size
    date, time, extra = _times(member.modified)
    extra += large
    needed, name = _ZIP64 if is_large else _PLAIN, member.name
    own = (_UTF8_NAMES, 0, time, date, member.crc32, size, size, len(name), len(extra))
    return _LOCAL_HEADER.pack(b"PK\x03\x04", needed, *own) + name + extra


def _size_of_record(member: ZipMember, start: int) -> int:
    fields = 2 * (member.size >= _MASK32) + (start >= _MASK32)
    large = 4 + 8 * fields if fields else 0
    return _RECORD.size + len(member.name) + _TIME.size + large


def _record(member: ZipMember, start: int) -> bytes:
    is_large, is_far = member.size >= _MASK32, start >= _MASK32
    fields = ([member.size] * 2 if is_large else []) + ([start] if is_far else [])
    large = pack(f"<2H{len(fields)}Q", 1, 8 * len(fields), *fields) if fields else b""
    size = _MASK32 if is_large else member.size
    date, time, extra = _times(member.modified)
    extra += large
    needed, name = _ZIP64 if fields else _PLAIN, member.name
    own = (_UTF8_NAMES, 0, time, date, member.crc32, size, size, len(name), len(extra))
    rest = (0, 0, 0, _attributes(member), _MASK32 if is_far else start)
    return _RECORD.pack(b"PK\x01\x02", needed, _UNIX, needed, *own, *rest) + name + extra


# Many members of a directory have the same time, and each is asked for more than once.
@functools.lru_cache(maxsize=4096)
def _times(modified: int) -> tuple[int, int, bytes]:
    """Date and time of DOS, and the time in UTC to the second (Info-ZIP's extra field ``UT``)."""
    extra = _TIME.pack(b"UT", 5, 1, min(max(modified, 0), 0x7FFFFFFF))
    return (*_dos_time(modified), extra)


def _dos_time(seconds: int) -> tuple[int, int]:
    """Date and time as DOS writes them, in UTC, within the years that it knows (4.4.6)."""
    moment = datetime.fromtimestamp(min(max(seconds, 0), 0x7FFFFFFF), UTC)
    year, month, day, hour, minute, second = moment.timetuple()[:6]
    if year < 1980:
        return 1 << 5 | 1, 0
    return (year - 1980) << 9 | month << 5 | day, hour << 11 | minute << 5 | second // 2


def _attributes(member: ZipMember) -> int:
    if not member.sha256:
        return _DIRECTORY << 16 | _DIRECTORY_OF_DOS
    return (_EXECUTABLE if member.executable else _FILE) << 16


def _end(count: int, directory: int, size: int) -> bytes:
    """The end of the directory, which begins at ``directory`` and is ``size`` long."""
    large = b""
    if count >= _MASK16 or max(directory, size) >= _MASK32:
        large = pack("<4sQ2H2L", b"PK\x06\x06", 44, _UNIX << 8 | _ZIP64, _ZIP64, 0, 0)
        large += pack("<4Q", count, count, size, directory)
        large += pack("<4sLQL", b"PK\x06\x07", 0, directory + size, 1)
    counted = min(count, _MASK16)
    front = pack("<4s4H", b"PK\x05\x06", 0, 0, counted, counted)
    return large + front + pack("<2LH", min(size, _MASK32), min(directory, _MASK32), 0)
