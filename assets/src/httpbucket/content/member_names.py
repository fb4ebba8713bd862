"""The gate that every member's name passes: bytes of any encoding in, a safe relative path out."""

from __future__ import annotations

import re

from httpbucket.content.findings import Findings, shown
from httpbucket.content.limits import UnpackLimits
from httpbucket.domain.unpacking import LimitExceeded, UnsafeMemberName

#: The longest name of one file on ext4, xfs, NTFS and most others.
MAX_PART_BYTES = 255

# C0, DEL and C1; line and paragraph separator; what turns the direction of text around
# (Unicode TR 36, 3.1); surrogates, which no UTF-8 holds.
_DECEIVING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_DRIVE = re.compile("[A-Za-z]:")
# The common case in one look: no part is empty or starts with a dot, nothing needs a closer look.
_PLAIN = re.compile(
    r"(?:[A-Za-z0-9_+ ,=@-][A-Za-z0-9_.+ ,=@-]{0,254}/)*[A-Za-z0-9_+ ,=@-]"
    r"[A-Za-z0-9_.+ ,=@-]{0,254}"
)

# An undecodable byte as "surrogateescape" shows it, and the backslash that belongs to it.
_ESCAPED = re.compile("[\udc80-\udcff]\\\\?")


def member_path(name: str, limits: UnpackLimits) -> str:
    """The relative path that ``name`` means, without ``.`` parts and doubled or final slashes.

    Empty for the archive's own root (``./``). Raises `UnsafeMemberName` for a name that is
    absolute, climbs with ``..``, starts with a drive letter, or holds a backslash, a control or
    bidirectional character or a part over `MAX_PART_BYTES`; `LimitExceeded` for too deep or too
    long a path.
    """
    if not (path := name if _PLAIN.fullmatch(name) else None):
        path = _checked(name)
    size = len(path) if path.isascii() else len(path.encode())
    if size > limits.max_path:
        sentence = f"The path of member {shown(path)} is longer than {limits.max_path} bytes"
        raise LimitExceeded("UNPACK_MAX_PATH", limits.max_path, sentence)
    if path.count("/") >= limits.max_depth:
        sentence = f"Member {shown(path)} lies more than {limits.max_depth} levels deep"
        raise LimitExceeded("UNPACK_MAX_DEPTH", limits.max_depth, sentence)
    return path


def _checked(name: str) -> str:
    if _DECEIVING.search(name):
        raise _unsafe(name, "holds control or bidirectional characters")
    if "\\" in name:
        raise _unsafe(name, "holds a backslash")
    if name.startswith("/"):
        raise _unsafe(name, "is an absolute path")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise _unsafe(name, "leads out of its directory")
    if parts and _DRIVE.match(parts[0]):
        raise _unsafe(name, "starts with a drive letter")
    if any(len(part) > MAX_PART_BYTES or len(part.encode()) > MAX_PART_BYTES for part in parts):
        raise _unsafe(name, f"has a part of more than {MAX_PART_BYTES} bytes")
    return "/".join(parts)


def _unsafe(name: str, reason: str) -> UnsafeMemberName:
    sentence = f"Nothing was unpacked, because the name of member {shown(name)} {reason}."
    return UnsafeMemberName(sentence, reason=reason)


def decode_name(name: bytes) -> str:
    r"""A name as UTF-8; what is not UTF-8 comes as ``%E9``, so that distinct names stay distinct.

    A backslash behind such a byte is the second half of a letter (Shift-JIS, GBK, Big5), not a
    separator, and comes as ``%5C``.

    >>> decode_name(b"caf\xc3\xa9"), decode_name(b"caf\xe9"), decode_name(b"\x95\\.txt")
    ('café', 'caf%E9', '%95%5C.txt')
    """
    try:
        return name.decode()
    except UnicodeDecodeError:
        text = name.decode("utf-8", "surrogateescape")
        return _ESCAPED.sub(_percent, text)


def tell_if_renamed(name: bytes, path: str, findings: Findings) -> None:
    """Tell it when ``path`` holds escapes in place of what was no UTF-8 in ``name``."""
    if "%" in path and not _is_utf8(name):
        sentence = f"A member's name is not UTF-8; the member was kept as {shown(path)}."
        findings.add("member-renamed", sentence)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _percent(match: re.Match[str]) -> str:
    escaped = f"%{ord(match[0][0]) - 0xDC00:02X}"
    return f"{escaped}%5C" if match[0].endswith("\\") else escaped
