"""One 512-byte header of a tar: its fields, its checksum, its three ways to write a number.

Sources: POSIX.1-2017 pax, "ustar Interchange Format"; the GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import functools
import zlib
from struct import Struct
from typing import NamedTuple

from httpbucket.domain.unpacking import CorruptArchive

BLOCK_SIZE = 512
ZERO_BLOCK = bytes(BLOCK_SIZE)

# Name, mode, size, mtime, checksum, type, name of a link.
_FIELDS = Struct("100s8s16x12s12s8sc100s")
_SPACES_SUM = 8 * 0x20
_MOST_SUM = BLOCK_SIZE * 256


class TarHeader(NamedTuple):
    """The fields that matter here, as one header has them, before extension headers override.

    ``size`` is the bytes that follow in the archive file; ``raw`` is the whole block.
    """

    name: bytes
    mode: int
    size: int
    mtime: int
    type: bytes
    linkname: bytes
    raw: bytes


def parse_header(block: bytes) -> TarHeader:
    """Read a header block that is not all zeros. Raises `CorruptArchive`."""
    name, mode, size, mtime, checksum, kind, linkname = _FIELDS.unpack_from(block)
    if not _checksum_fits(block, checksum):
        raise CorruptArchive("A header of the tar has a wrong checksum.")
    content_size = parse_number(size)
    if content_size is None or content_size < 0:
        raise CorruptArchive("A header of the tar has an impossible size.")
    return TarHeader(
        name=_full_name(block, _until_nul(name)),
        mode=parse_number(mode) or 0,
        size=content_size,
        mtime=parse_number(mtime) or 0,
        type=kind,
        linkname=_until_nul(linkname),
        raw=block,
    )


def is_tar_header(block: bytes) -> bool:
    """Whether ``block`` begins with a tar's header, of any age: v7 tars have no magic."""
    block = block[:BLOCK_SIZE]
    if len(block) < BLOCK_SIZE or block[:1] == b"\x00":
        return False
    return _checksum_fits(block, _FIELDS.unpack_from(block)[4])


# Most members of a tar have the mode, the time and the owner of others.
@functools.lru_cache(maxsize=1024)
def parse_number(field: bytes) -> int | None:
    """Read octal digits between spaces and NULs, or GNU's base 256; None for anything else."""
    if field[0] & 0x80:
        return int.from_bytes(_without_marker(field), "big", signed=True)
    digits = field.partition(b"\x00")[0].strip()
    if not digits:
        return 0
    try:
        # int() alone would take a sign and underscores.
        return int(digits, 8) if digits.isdigit() else None
    except ValueError:
        return None


def _without_marker(field: bytes) -> bytes:
    """Base 256 has its marker in the top bit, and its sign in the one below."""
    first = field[0] & 0x7F
    return bytes([first | 0x80 if first & 0x40 else first]) + field[1:]


def _checksum_fits(block: bytes, own: bytes) -> bool:
    stated = parse_number(own)
    if stated is None or abs(stated) > _MOST_SUM:
        return False
    if stated == _byte_sum(block) - sum(own) + _SPACES_SUM:
        return True
    # Some old systems added signed bytes.
    negative = sum(byte > 127 for byte in block) - sum(byte > 127 for byte in own)
    return stated == sum(block) - sum(own) + _SPACES_SUM - 256 * negative


def _byte_sum(block: bytes) -> int:
    """The sum of the bytes of a block, in a tenth of the time of ``sum`` where all are ASCII.

    Adler-32 has it in its lower half, plus one and modulo 65,521 (RFC 1950, 9); 512 bytes of ASCII
    stay below that.
    """
    return (zlib.adler32(block) & 0xFFFF) - 1 if block.isascii() else sum(block)


def _full_name(block: bytes, name: bytes) -> bytes:
    # GNU's own format has other fields where ustar keeps the front of a long name.
    if block[345] and block[257:263] == b"ustar\x00":
        return _until_nul(block[345:500]) + b"/" + name
    return name


def _until_nul(field: bytes) -> bytes:
    return field.partition(b"\x00")[0]
