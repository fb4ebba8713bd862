"""One 512-byte header of a tar: its fields, its checksum, its three ways to write a number.

Sources: POSIX.1-2017 pax, "ustar Interchange Format"; the GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

from dataclasses import dataclass

from httpbucket.domain.unpacking import CorruptArchive

BLOCK_SIZE = 512
ZERO_BLOCK = bytes(BLOCK_SIZE)

_CHECKSUM = slice(148, 156)
_SPACES_SUM = 8 * 0x20
_MOST_SUM = BLOCK_SIZE * 256


@dataclass(frozen=True, slots=True)
class TarHeader:
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
    if not _checksum_fits(block):
        raise CorruptArchive("A header of the tar has a wrong checksum.")
    size = parse_number(block[124:136])
    if size is None or size < 0:
        raise CorruptArchive("A header of the tar has an impossible size.")
    return TarHeader(
        name=_full_name(block),
        mode=parse_number(block[100:108]) or 0,
        size=size,
        mtime=parse_number(block[136:148]) or 0,
        type=block[156:157],
        linkname=_until_nul(block[157:257]),
        raw=block,
    )


def is_tar_header(block: bytes) -> bool:
    """Whether ``block`` begins with a tar's header, of any age: v7 tars have no magic."""
    block = block[:BLOCK_SIZE]
    return len(block) == BLOCK_SIZE and block[:1] != b"\x00" and _checksum_fits(block)


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


def _checksum_fits(block: bytes) -> bool:
    stated = parse_number(block[_CHECKSUM])
    if stated is None or abs(stated) > _MOST_SUM:
        return False
    own = block[_CHECKSUM]
    if stated == sum(block) - sum(own) + _SPACES_SUM:
        return True
    # Some old systems added signed bytes.
    negative = sum(byte > 127 for byte in block) - sum(byte > 127 for byte in own)
    return stated == sum(block) - sum(own) + _SPACES_SUM - 256 * negative


def _full_name(block: bytes) -> bytes:
    name = _until_nul(block[:100])
    # GNU's own format has other fields where ustar keeps the front of a long name.
    if block[257:263] == b"ustar\x00" and block[345]:
        return _until_nul(block[345:500]) + b"/" + name
    return name


def _until_nul(field: bytes) -> bytes:
    return field.partition(b"\x00")[0]
