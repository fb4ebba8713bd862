"""The gate that every name from outside passes to become one part of a path."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from httpbucket.domain.errors import EmptyFilename

#: ext4, xfs and most others stop at 255 bytes a name; replicas add a date, a number and a suffix.
MAX_NAME_BYTES = 180

#: What a name becomes of which nothing safe is left.
FALLBACK_NAME = "file"

_SEPARATORS = re.compile(r"[/\\]")
# Control, surrogate, line and paragraph separator, unassigned; and the characters that turn the
# direction of text around, with which "gpj.exe" reads as "exe.jpg" (Unicode TR 36, 3.1).
_UNSAFE_CATEGORIES = {"Cc", "Cs", "Zl", "Zp", "Cn"}
_DIRECTIONAL = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_DIGEST_DIGITS = 16
_LONGEST_KEPT_SUFFIX = 32


def kept_filename(text: str | None) -> str:
    """The name under which a client's file is kept: as close to ``text`` as safety allows.

    Directories in front are dropped (RFC 7578, 4.2), Unicode stays (NFC), what is unsafe becomes
    ``_``, a leading dot gets one in front, and a name over `MAX_NAME_BYTES` is cut, keeping its
    suffix, with a digest of the whole name in place of what was cut. Raises `EmptyFilename`.

    >>> kept_filename("../../etc/passwd"), kept_filename(".profile"), kept_filename("日本語.txt")
    ('passwd', '_.profile', '日本語.txt')
    """
    if not text:
        raise EmptyFilename('The file has no name; expected for example filename="results.xml".')
    last = _SEPARATORS.split(text.rstrip("/\\"))[-1]
    if not last.strip(" ."):
        return FALLBACK_NAME
    return cut_to_bytes(safe_part(last), whole=text)


def safe_part(text: str) -> str:
    """``text`` in NFC as one path part: no separator, control character or leading dot.

    The result is empty only for an empty text.
    """
    shown = "".join(_safe_character(character) for character in unicodedata.normalize("NFC", text))
    return f"_{shown}" if shown.startswith(".") else shown


def cut_to_bytes(name: str, *, whole: str, limit: int = MAX_NAME_BYTES) -> str:
    """``name`` if it fits ``limit`` bytes, else its front, a digest of ``whole``, its suffix."""
    if len(name.encode()) <= limit:
        return name
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_DIGITS]
    suffix = "".join(re.findall(r"(?:\.[^.\s]+){1,2}$", name)[:1])
    if len(suffix.encode()) > _LONGEST_KEPT_SUFFIX:
        suffix = ""
    tail = f"~{digest}{suffix}"
    front = name.encode()[: limit - len(tail.encode())].decode(errors="ignore")
    return f"{front}{tail}"


def _safe_character(character: str) -> str:
    unsafe = (
        character in "/\\"
        or character in _DIRECTIONAL
        or unicodedata.category(character) in _UNSAFE_CATEGORIES
    )
    return "_" if unsafe else character
