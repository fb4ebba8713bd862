"""Lists of digests as JSON: ``["sha256:…", {"checksum": "…", "filename": "a.xml"}]``."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from httpbucket.domain.checksum_file import MOST_LINE_BYTES, ChecksumEntry, checked_entry
from httpbucket.domain.errors import MalformedChecksums

#: The longest element, in characters.
MOST_ELEMENT = 2 * MOST_LINE_BYTES

_SPACE = re.compile(r"[ \t\n\r]*")
_DIGEST = re.compile(r"(?:([A-Za-z0-9_/-]+):)?([0-9A-Fa-f]+)")
_decode = json.JSONDecoder().raw_decode


def read_checksum_list(pieces: Iterable[bytes], *, preferred: str) -> Iterator[ChecksumEntry]:
    """Read an array that comes in pieces of any size; memory holds a piece and an element.

    An element is a digest, bare or with its algorithm, or an object whose ``checksum`` is one and
    whose ``filename`` may be the file's name; its other keys say nothing. ``raw`` of an entry is
    the element as it was written. Raises `MalformedChecksums`, which says the element.

    >>> text = b'["md5:d41d8cd98f00b204e9800998ecf8427e"]'
    >>> [entry.algorithms for entry in read_checksum_list([text], preferred="sha256")]
    [('md5',)]
    """
    for number, (value, written) in enumerate(_elements(pieces), 1):
        try:
            yield _entry(value, written.encode(), preferred)
        except MalformedChecksums as error:
            raise MalformedChecksums(f"Element {number} {error}", element=number) from None


def _entry(value: Any, raw: bytes, preferred: str) -> ChecksumEntry:
    checksum, name = value, ""
    if isinstance(value, dict):
        checksum, name = value.get("checksum"), value.get("filename") or ""
    found = _DIGEST.fullmatch(checksum) if isinstance(checksum, str) else None
    if found is None or not isinstance(name, str):
        raise MalformedChecksums(
            'is neither a digest nor an object with a "checksum" (and a "filename").'
        )
    try:
        written_name = name.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise MalformedChecksums("has a name that is no Unicode.") from None
    return checked_entry(found[1], found[2], preferred=preferred, name=written_name, raw=raw)


def _elements(pieces: Iterable[bytes]) -> Iterator[tuple[Any, str]]:
    text = _Text(pieces)
    text.expect("[")
    if text.accept("]"):
        return
    while True:
        yield text.value()
        if text.accept("]"):
            break
        text.expect(",")
    if text.peek():
        raise _malformed("something follows its end")


class _Text:
    """Text that comes in pieces, of which an element's length at least is at hand."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._position = 0
        self._is_whole = False

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            found = _SPACE.match(self._text, self._position)
            assert found is not None, "it matches nothing, too"
            self._position = found.end()
            if self._position < len(self._text) or self._is_whole:
                return self._text[self._position : self._position + 1]
            self._fill()

    def accept(self, mark: str) -> bool:
        """Whether ``mark`` comes next; then it is behind us."""
        is_next = self.peek() == mark
        self._position += is_next
        return is_next

    def expect(self, mark: str) -> None:
        """Go behind ``mark``, which has to come next."""
        if not self.accept(mark):
            raise _malformed(f"{mark!r} was expected where {self.peek() or 'its end'!r} is")

    def value(self) -> tuple[Any, str]:
        """The next value, and the text that it was written in."""
        self.peek()
        if len(self._text) - self._position < MOST_ELEMENT:
            self._fill()
        start = self._position
        try:
            value, self._position = _decode(self._text, start)
        except (ValueError, RecursionError):
            shown = self._text[start : start + 80]
            raise _malformed(
                f"there is no value of at most {MOST_ELEMENT} characters at {shown!r}"
            ) from None
        return value, self._text[start : self._position]

    def _fill(self) -> None:
        """Have an element's length at hand, or all that is left."""
        held = [self._text[self._position :]]
        length = len(held[0])
        while length < MOST_ELEMENT and not self._is_whole:
            piece = next(self._pieces, b"")
            self._is_whole = not piece
            try:
                held.append(self._decoder.decode(piece, final=self._is_whole))
            except UnicodeDecodeError:
                raise _malformed("it is not UTF-8") from None
            length += len(held[-1])
        self._text, self._position = "".join(held), 0


def _malformed(reason: str) -> MalformedChecksums:
    return MalformedChecksums(f"The body is no JSON array of digests: {reason}.")
