"""Extension headers of POSIX tars: records of length, keyword and value, a line each.

Source: POSIX.1-2017 pax, "pax Extended Header". No regular expression reads them: 60 kB of digits
held the interpreter for six seconds in tarfile (CVE-2024-6232).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from httpbucket.content.members import sane_mtime
from httpbucket.domain.unpacking import CorruptArchive

# "1048576 " is the longest length that a header of the largest accepted size can state.
_LONGEST_LENGTH = 8
_LONGEST_NUMBER = 40


def parse_pax(records: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each keyword and value, in order; a keyword may come several times.

    NULs behind the last record are padding. Raises `CorruptArchive`.
    """
    position = 0
    while position < len(records) and records[position]:
        space = records.find(b" ", position, position + _LONGEST_LENGTH)
        length = records[position : max(space, position)]
        end = position + int(length) if length.isdigit() else 0
        record = records[space + 1 : end]
        keyword, equals, value = record.partition(b"=")
        if not position < end <= len(records) or not equals or not value.endswith(b"\n"):
            raise CorruptArchive("An extension header of the tar is malformed.")
        yield keyword, value[:-1]
        position = end


def pax_size(values: Mapping[bytes, bytes], keyword: bytes) -> int | None:
    """A number of bytes; None when the keyword is absent. Raises `CorruptArchive`."""
    if (text := values.get(keyword)) is None:
        return None
    if not text.isdigit() or len(text) > _LONGEST_NUMBER:
        raise CorruptArchive("An extension header of the tar states an impossible size.")
    return int(text)


def pax_mtime(values: Mapping[bytes, bytes], otherwise: float) -> float:
    """The time of modification, with fractions of a second; ``otherwise`` when it is no number."""
    text = values.get(b"mtime", b"")
    if text.strip(b"0123456789.-") or len(text) > _LONGEST_NUMBER:
        return otherwise
    try:
        return sane_mtime(float(text))
    except ValueError:
        return otherwise
