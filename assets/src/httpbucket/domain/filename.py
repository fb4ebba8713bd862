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
_MARK = re.compile(rf"~[0-9a-f]{{{_DIGEST_DIGITS}}}\Z")
# A suffix has a letter, so that "app-1.2" and "Mr. Smith" have none.
_SUFFIX = re.compile(r"\.(?=[^.]*[^\W\d_])[^.\s]+\Z")
_LONGEST_KEPT_SUFFIX = 32

_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zstd")


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
    return cut_to_bytes(safe_part(last), whole=last)


def safe_part(text: str) -> str:
    """``text`` in NFC as one path part: no separator, control character or leading dot.

    The result is empty only for an empty text.
    """
    shown = "".join(_safe_character(character) for character in unicodedata.normalize("NFC", text))
    return f"_{shown}" if shown.startswith(".") else shown


def cut_to_bytes(name: str, *, whole: str) -> str:
    """``name`` if it fits `MAX_NAME_BYTES`, else its front, a digest of ``whole``, its suffix."""
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, extension = split_extension(name)
    return mark(stem, whole=whole, limit=MAX_NAME_BYTES - len(extension.encode())) + extension


def mark(name: str, *, whole: str, limit: int = MAX_NAME_BYTES) -> str:
    """As much of ``name`` as leaves room in ``limit`` bytes for ``~`` and a digest of ``whole``.

    The digest is the first 16 digits of the SHA-256 of ``whole`` in NFC, so that names which were
    changed for safety stay as different as the texts they came from.

    >>> mark("a_b", whole="a/b")
    'a_b~c14cddc033f64b9d'
    """
    text = unicodedata.normalize("NFC", whole).encode("utf-8", "surrogatepass")
    tail = f"~{hashlib.sha256(text).hexdigest()[:_DIGEST_DIGITS]}"
    return front(name, limit - len(tail)) + tail


def is_marked(name: str) -> bool:
    """Whether ``name`` ends as `mark` ends names."""
    return _MARK.search(name) is not None


def front(text: str, limit: int) -> str:
    """The first characters of ``text`` that fit ``limit`` bytes."""
    return text.encode()[: max(limit, 0)].decode(errors="ignore")


def split_extension(name: str) -> tuple[str, str]:
    """``name`` as stem and extension; a compressed file's own suffix belongs to the extension.

    A suffix holds a letter and no white space; stem and extension together are ``name``.

    >>> split_extension("x.tar.gz"), split_extension("a.b.log"), split_extension("app-1.2")
    (('x', '.tar.gz'), ('a.b', '.log'), ('app-1.2', ''))
    """
    last = _suffix(name)
    inner = _suffix(name.removesuffix(last)) if last.lower() in _COMPRESSED else ""
    for extension in (inner + last, last):
        if 0 < len(extension) < len(name) and len(extension.encode()) <= _LONGEST_KEPT_SUFFIX:
            return name.removesuffix(extension), extension
    return name, ""


def _suffix(name: str) -> str:
    match = _SUFFIX.search(name[-_LONGEST_KEPT_SUFFIX - 1 :])
    return match[0] if match else ""


def _safe_character(character: str) -> str:
    unsafe = (
        character in "/\\"
        or character in _DIRECTIONAL
        or unicodedata.category(character) in _UNSAFE_CATEGORIES
    )
    return "_" if unsafe else character
