"""Archive files built in memory, header by header, so that they can also lie.

Every builder gives bytes. `tar` and `zip_file` put parts together; `tar_member` and `ZipEntry` make
the parts, with any field set to any value.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader, BytesIO, RawIOBase
from struct import pack
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK = 512


def tar(*members: bytes, end: bytes = bytes(2 * BLOCK)) -> bytes:
    """A tar of ready members and an end mark."""
    return b"".join(members) + end


def tar_member(
    name: str | bytes,
    content: bytes = b"",
    *,
    kind: bytes = b"0",
    linkname: str | bytes = b"",
    size: int | bytes | None = None,
    mode: int = 0o644,
    mtime: int | bytes = 1_700_000_000,
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    checksum: bytes | None = None,
) -> bytes:
    """One member: header, content and padding. Numbers given as bytes go in as they are."""
    fields = (
        (_encoded(name), 100),
        (_octal(mode, 8), 8),
        (_octal(0, 8), 8),
        (_octal(0, 8), 8),
        (_octal(len(content) if size is None else size, 12), 12),
        (_octal(mtime, 12), 12),
        (b" " * 8, 8),
        (kind, 1),
        (_encoded(linkname), 100),
        (magic, 8),
        (b"", 80),
        (prefix, 155),
    )
    block = b"".join(value[:width].ljust(width, b"\0") for value, width in fields)
    return with_checksum(block.ljust(BLOCK, b"\0"), checksum) + padded(content)


def with_checksum(block: bytes, checksum: bytes | None = None) -> bytes:
    """A header block with the checksum that it should have, or with the one that is given."""
    blank = block[:148] + b" " * 8 + block[156:]
    return blank[:148] + (checksum or b"%06o\0 " % sum(blank)) + blank[156:]


def padded(content: bytes) -> bytes:
    """``content`` filled up to whole blocks."""
    return content + bytes(-len(content) % BLOCK)


def base256(number: int, width: int = 12) -> bytes:
    """A number as GNU tar writes it when octal digits do not suffice."""
    first = 0x80 if number >= 0 else 0xFF
    return bytes([first]) + number.to_bytes(width - 1, "big", signed=True)


def pax_records(values: Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]]) -> bytes:
    """The records of an extension header."""
    pairs = values.items() if isinstance(values, Mapping) else values
    return b"".join(_pax_record(keyword.encode(), _encoded(value)) for keyword, value in pairs)


def pax(values: Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]]) -> bytes:
    """An extension header for the next member."""
    return tar_member("PaxHeaders/x", pax_records(values), kind=b"x")


def global_pax(values: Mapping[str, str | bytes]) -> bytes:
    """An extension header for all later members."""
    return tar_member("pax_global_header", pax_records(values), kind=b"g")


def gnu_long(name: str | bytes, *, kind: bytes = b"L") -> bytes:
    """GNU's header for a long name (``L``) or a long link target (``K``)."""
    return tar_member("././@LongLink", _encoded(name) + b"\0", kind=kind)


def old_gnu_sparse(name: str, pieces: Sequence[tuple[int, bytes]], size: int) -> bytes:
    """A sparse member of type ``S``; more than four pieces take blocks behind the header."""
    stored = b"".join(content for _, content in pieces)
    pairs = [_octal(at, 12) + _octal(len(content), 12) for at, content in pieces]
    header = bytearray(tar_member(name, size=len(stored), kind=b"S", magic=b"ustar  \0"))
    header[386:482] = b"".join(pairs[:4]).ljust(96, b"\0")
    header[482] = len(pairs) > 4
    header[483:495] = _octal(size, 12)
    blocks = with_checksum(bytes(header))
    for start in range(4, len(pairs), 21):
        more = bytes([start + 21 < len(pairs)])
        blocks += b"".join(pairs[start : start + 21]).ljust(504, b"\0") + more + bytes(7)
    return blocks + padded(stored)


@dataclass
class ZipEntry:
    """One member of a zip. What is None follows from the content; anything else may lie."""

    name: str | bytes
    content: bytes = b""
    method: int = 8
    flags: int = 0
    host: int = 3
    mode: int = 0o100644
    stored: bytes | None = None
    size: int | None = None
    compressed_size: int | None = None
    crc32: int | None = None
    local_name: bytes | None = None
    offset: int | None = None
    extra: bytes = b""
    local_extra: bytes = b""
    date: int = 0x5B75
    time: int = 0x6000
    attributes: int | None = None

    def raw(self) -> bytes:
        """The compressed bytes."""
        return self.stored if self.stored is not None else zip_compressed(self.content, self.method)

    def local(self) -> bytes:
        """The member's own header and its bytes."""
        name = _encoded(self.name) if self.local_name is None else self.local_name
        lengths = pack("<2H", len(name), len(self.local_extra))
        return b"PK\x03\x04\x14\0" + self._shared() + lengths + name + self.local_extra + self.raw()

    def central(self, offset: int) -> bytes:
        """The directory's record of the member, which begins at ``offset``."""
        name = _encoded(self.name)
        offset = offset if self.offset is None else self.offset
        attributes = self.mode << 16 if self.attributes is None else self.attributes
        lengths = pack("<5H", len(name), len(self.extra), 0, 0, 0)
        front = b"PK\x01\x02" + bytes([20, self.host, 20, 0]) + self._shared()
        return front + lengths + pack("<2L", attributes, offset) + name + self.extra

    def _shared(self) -> bytes:
        crc32 = zlib.crc32(self.content) if self.crc32 is None else self.crc32
        size = len(self.content) if self.size is None else self.size
        packed = len(self.raw()) if self.compressed_size is None else self.compressed_size
        front = pack("<4H", self.flags, self.method, self.time, self.date)
        return front + pack("<3L", crc32, packed, size)


def zip_file(*entries: ZipEntry, comment: bytes = b"", count: int | None = None) -> bytes:
    """A zip of the entries, in order."""
    body, directory = b"", b""
    for entry in entries:
        directory += entry.central(len(body))
        body += entry.local()
    total = len(entries) if count is None else count
    return body + directory + zip_end(total, len(directory), len(body), comment)


def overlapping_zip(levels: int, content: bytes) -> bytes:
    """A zip whose every member quotes the next one whole, as in David Fifield's bomb."""
    entries = [ZipEntry("0", content)]
    for level in range(1, levels):
        entries.append(ZipEntry(str(level), entries[-1].local(), method=0))
    body = entries[-1].local()
    directory = b"".join(entry.central(len(body) - len(entry.local())) for entry in entries)
    return body + directory + zip_end(levels, len(directory), len(body))


def zip_end(count: int, size: int, offset: int, comment: bytes = b"", disk: int = 0) -> bytes:
    """The end record of a zip whose directory of ``size`` bytes begins at ``offset``."""
    count &= 0xFFFF
    front = pack("<4s4H", b"PK\x05\x06", disk, disk, count, count)
    return front + pack("<2LH", size, offset, len(comment)) + comment


def zip_compressed(content: bytes, method: int) -> bytes:
    """``content`` as a zip holds it under ``method``."""
    if method == 8:
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
        return compressor.compress(content) + compressor.flush()
    if method == 12:
        return bz2.compress(content)
    if method == 14:
        chain = [{"id": lzma.FILTER_LZMA1, "preset": 6, "dict_size": 1 << 20}]
        properties = b"\x09\x14\x05\x00\x5d" + pack("<L", 1 << 20)
        return properties + lzma.compress(content, lzma.FORMAT_RAW, filters=chain)
    return content


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda content: gzip.compress(content, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
}


def zstd_with_window(content: bytes, log: int) -> bytes:
    """A zstd frame that asks its reader for a window of 2^log bytes."""
    options: dict[int, int] = {zstd.CompressionParameter.window_log: log}
    compressor = zstd.ZstdCompressor(options=options)
    return compressor.compress(content) + compressor.flush()


def repeated(piece: bytes, times: int) -> BufferedReader:
    """A readable stream of one piece many times over, so that no bomb lies in memory."""
    return BufferedReader(_Repeated(piece, times))


class _Repeated(RawIOBase):
    def __init__(self, piece: bytes, times: int) -> None:
        super().__init__()
        self._piece = BytesIO(piece)
        self._left = times - 1
        self._bytes_read = 0

    def tell(self) -> int:
        return self._bytes_read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        found = self._piece.readinto(buffer)
        if not found and self._left > 0:
            self._left -= 1
            self._piece.seek(0)
            found = self._piece.readinto(buffer)
        self._bytes_read += found
        return found


def _pax_record(keyword: bytes, value: bytes) -> bytes:
    rest = b" " + keyword + b"=" + value + b"\n"
    length = len(rest) + len(str(len(rest)))
    while len(rest) + len(str(length)) != length:
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def _octal(number: int | bytes, width: int) -> bytes:
    return number if isinstance(number, bytes) else b"%0*o\0" % (width - 1, number)


def _encoded(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
