"""The central directory of a zip: found, bounded, and read record by record.

zipfile builds an object for every record before anything can be counted, 10 million if the zip
says so, and takes another's word where two places of a zip contradict each other; hence our own.
Source: PKWARE's APPNOTE.TXT 6.3.10, 4.3.12 to 4.3.16 and 4.5.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import SEEK_END
from struct import Struct, error, unpack
from typing import BinaryIO, NamedTuple

from httpbucket.content.limits import CHUNK_SIZE
from httpbucket.domain.unpacking import CorruptArchive, TruncatedArchive, UnsupportedArchive

_END_SIGNATURE = b"PK\x05\x06"
_END = Struct("<4s4H2LH")
_LOCATOR = Struct("<4sLQL")
_ZIP64_END = Struct("<4sQ2H2L4Q")
_RECORD = Struct("<4s4B4H3L5H2L")
_LONGEST_COMMENT = 0xFFFF
_LONGEST_RECORD = _RECORD.size + 3 * 0xFFFF
_IN_ZIP64 = 0xFFFFFFFF
_ONE_DISK = (0, 0xFFFF)


class ZipRecord(NamedTuple):
    """What the directory says of one member; sizes and ``offset`` are bytes, ZIP64 resolved."""

    name: bytes
    host: int
    flags: int
    method: int
    time: int
    date: int
    crc32: int
    compressed_size: int
    size: int
    attributes: int
    offset: int
    extra: bytes

    def extra_field(self, wanted: int) -> bytes | None:
        """The first extra field of this id (APPNOTE 4.5.1); None without one."""
        return _extra_field(self.extra, wanted)


@dataclass(frozen=True, slots=True)
class ZipDirectory:
    """Where the directory lies, what it announces, and how many bytes follow the zip."""

    start: int
    size: int
    count: int
    trailing: int

    def records(self, stream: BinaryIO) -> Iterator[ZipRecord]:
        """Every record in order; others may move ``stream`` in between. Raises `CorruptArchive`."""
        position, end, count = self.start, self.start + self.size, 0
        window = b""
        used = 0
        while position < end:
            if len(window) - used < min(_LONGEST_RECORD, end - position):
                window, used = _read_at(stream, position, min(CHUNK_SIZE, end - position)), 0
            record, length = _record_at(window, used)
            yield record
            position, used, count = position + length, used + length, count + 1
        # Zips of more than 65,535 members without ZIP64 exist: their count wraps around.
        if (count - self.count) & 0xFFFF or position != end:
            raise CorruptArchive("The zip's directory holds more or fewer members than it says.")


def find_directory(stream: BinaryIO) -> ZipDirectory:
    """Find the directory from the end of the zip.

    The end record that counts is the last one that fits: the directory that it names ends right in
    front of it. So a comment that looks like an end record does no harm. Raises `TruncatedArchive`
    without one, `UnsupportedArchive` for one part of a split zip.
    """
    file_size = stream.seek(0, SEEK_END)
    start = max(0, file_size - _END.size - _LONGEST_COMMENT)
    tail = _read_at(stream, start, file_size - start)
    found = tail.rfind(_END_SIGNATURE)
    while found >= 0:
        if found + _END.size <= len(tail) and (
            directory := _directory_before(stream, start + found, file_size)
        ):
            return directory
        found = tail.rfind(_END_SIGNATURE, 0, found + len(_END_SIGNATURE) - 1)
    raise TruncatedArchive("The zip has no directory at its end; its upload was perhaps cut short.")


def _directory_before(stream: BinaryIO, position: int, file_size: int) -> ZipDirectory | None:
    """What the end record at ``position`` names; None when that cannot be."""
    fields = _END.unpack(_read_at(stream, position, _END.size))
    _, disk, first_disk, _, count, size, offset, comment = fields
    trailing = file_size - position - _END.size - comment
    end = position
    if zip64 := _zip64_end(stream, position):
        end, count, size, offset = zip64
    elif disk not in _ONE_DISK or first_disk not in _ONE_DISK:
        if trailing == 0:
            raise UnsupportedArchive("The file is one part of a split zip.")
        return None
    if trailing < 0 or offset + size != end:
        return None
    return ZipDirectory(offset, size, count, trailing)


def _zip64_end(stream: BinaryIO, position: int) -> tuple[int, int, int, int] | None:
    """Position, count, size and offset out of the ZIP64 end record, if one comes before."""
    if position < _LOCATOR.size + _ZIP64_END.size:
        return None
    locator = _LOCATOR.unpack(_read_at(stream, position - _LOCATOR.size, _LOCATOR.size))
    if locator[0] != b"PK\x06\x07" or locator[2] > position - _LOCATOR.size - _ZIP64_END.size:
        return None
    record = _ZIP64_END.unpack(_read_at(stream, locator[2], _ZIP64_END.size))
    if record[0] != b"PK\x06\x06":
        return None
    return locator[2], record[7], record[8], record[9]


def _record_at(window: bytes, start: int) -> tuple[ZipRecord, int]:
    try:
        fields = _RECORD.unpack_from(window, start)
    except error as problem:
        raise _damaged() from problem
    name_end = start + _RECORD.size + fields[12]
    extra_end = name_end + fields[13]
    end = extra_end + fields[14]
    if fields[0] != b"PK\x01\x02" or end > len(window):
        raise _damaged()
    extra = window[name_end:extra_end]
    size, compressed_size, offset = _wide_fields(extra, fields[11], fields[10], fields[18])
    record = ZipRecord(
        name=window[start + _RECORD.size : name_end],
        host=fields[2],
        flags=fields[5],
        method=fields[6],
        time=fields[7],
        date=fields[8],
        crc32=fields[9],
        compressed_size=compressed_size,
        size=size,
        attributes=fields[17],
        offset=offset,
        extra=extra,
    )
    return record, end - start


def _wide_fields(extra: bytes, *narrow: int) -> Iterable[int]:
    """Size, compressed size and offset; where one does not fit 32 bits, from the ZIP64 field."""
    return _widened(extra, narrow) if _IN_ZIP64 in narrow else narrow


def _widened(extra: bytes, narrow: Iterable[int]) -> Iterator[int]:
    wide = _extra_field(extra, 0x0001) or b""
    for value in narrow:
        if value != _IN_ZIP64:
            yield value
        elif len(wide) < 8:
            raise _damaged()
        else:
            yield unpack("<Q", wide[:8])[0]
            wide = wide[8:]


def _extra_field(extra: bytes, wanted: int) -> bytes | None:
    position = 0
    while position + 4 <= len(extra):
        kind, length = unpack("<HH", extra[position : position + 4])
        if kind == wanted:
            return extra[position + 4 : position + 4 + length]
        position += 4 + length
    return None


def _read_at(stream: BinaryIO, position: int, size: int) -> bytes:
    stream.seek(position)
    return stream.read(size)


def _damaged() -> CorruptArchive:
    return CorruptArchive("The zip's directory is damaged.")
