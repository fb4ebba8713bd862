"""Names and times in zips, where every age and system wrote them differently.

Source: PKWARE's APPNOTE.TXT 6.3.10, appendix D; Info-ZIP's extrafld.txt.
"""

from __future__ import annotations

import functools
import re
import zlib
from calendar import timegm
from struct import unpack

from httpbucket.content.member_names import decode_name
from httpbucket.content.members import sane_mtime
from httpbucket.content.zip_directory import ZipRecord

_UTF8_FLAG = 0x0800
_UNICODE_PATH = 0x7075
_EXTENDED_TIMESTAMP = 0x5455
_NTFS_TIMES = 0x000A

# MS-DOS, OS/2, Windows (10 by APPNOTE, 11 by Info-ZIP), VFAT.
_WINDOWS_HOSTS = frozenset((0, 6, 10, 11, 14))

# The second byte of a letter in Shift-JIS, GBK or Big5 can be that of a backslash.
_HALF_LETTER = re.compile(rb"([\x80-\xff])\\")

_FILETIME_OF_1970 = 116_444_736_000_000_000


def zip_member_name(record: ZipRecord) -> str:
    """The member's name, by the first rule that fits.

    UTF-8 by flag; Info-ZIP's Unicode path, when it belongs to this name; UTF-8 without a flag, as
    macOS writes it; else CP437, where ``%5C`` stands for a backslash that is half a letter. In a
    zip made on Windows backslashes separate directories, unless the name has slashes as well.
    """
    name = _decoded(record)
    if record.host in _WINDOWS_HOSTS and "/" not in name:
        return name.replace("\\", "/")
    return name


def _decoded(record: ZipRecord) -> str:
    if record.flags & _UTF8_FLAG:
        return decode_name(record.name)
    if (name := _unicode_path(record)) is not None:
        return name
    try:
        return record.name.decode()
    except UnicodeDecodeError:
        return _HALF_LETTER.sub(rb"\1%5C", record.name).decode("cp437")


def _unicode_path(record: ZipRecord) -> str | None:
    if not record.extra:
        return None
    field = record.extra_field(_UNICODE_PATH)
    if not field or len(field) < 5 or field[0] != 1:
        return None
    if unpack("<L", field[1:5])[0] != zlib.crc32(record.name):
        return None
    try:
        return field[5:].decode()
    except UnicodeDecodeError:
        return None


def zip_member_mtime(record: ZipRecord) -> float:
    """Seconds since 1970: from Unix's or NTFS's own field, else the DOS time, taken as UTC."""
    if not record.extra:
        return _dos_seconds(record.date, record.time)
    unix = record.extra_field(_EXTENDED_TIMESTAMP)
    if unix and unix[0] & 1 and len(unix) >= 5:
        return sane_mtime(unpack("<l", unix[1:5])[0])
    ntfs = record.extra_field(_NTFS_TIMES)
    if ntfs and len(ntfs) >= 16 and ntfs[4:8] == b"\x01\x00\x18\x00":
        return sane_mtime((unpack("<Q", ntfs[8:16])[0] - _FILETIME_OF_1970) / 10_000_000)
    return _dos_seconds(record.date, record.time)


# Most members of a zip were packed within the same few seconds.
@functools.lru_cache(maxsize=256)
def _dos_seconds(date: int, time: int) -> float:
    month, day = date >> 5 & 0xF, date & 0x1F
    try:
        clock = (time >> 11, time >> 5 & 0x3F, (time & 0x1F) * 2)
        return sane_mtime(timegm((1980 + (date >> 9), month, day, *clock)))
    except ValueError:
        return 0.0
