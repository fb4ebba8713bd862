"""Digests that a client names, in runs: an object for each of them would take most of the time."""

from __future__ import annotations

import functools
import re
from array import array
from binascii import unhexlify
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, compress, groupby, islice, pairwise
from operator import attrgetter
from typing import NamedTuple

from httpbucket.domain.checksum_file import (
    MOST_LINE_BYTES,
    ChecksumEntry,
    algorithms_meant,
    entries_in,
    whole_lines,
)
from httpbucket.domain.errors import MalformedChecksums

# Entries are objects: of an endless list there are never more.
_MOST_ENTRIES = 2048


class ChecksumRun(NamedTuple):
    """Digests that follow each other and may mean the same algorithms, the likeliest first.

    ``digests`` are raw, one behind the other, of ``size`` bytes each; ``raws`` likewise the bytes
    in which each came, as in `ChecksumEntry`. Without ``lengths`` each of those is a line.
    """

    algorithms: tuple[str, ...]
    size: int
    digests: bytes
    raws: bytes
    lengths: array[int] | None = None

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.digests) // self.size

    def values(self) -> list[bytes]:
        """Each digest."""
        digests, size = self.digests, self.size
        return [digests[start : start + size] for start in range(0, len(digests), size)]

    def raws_marked(self, marks: Sequence[int]) -> list[bytes]:
        """The bytes in which those came that have a mark other than 0."""
        return list(compress(self._each_raw(), marks)) if any(marks) else []

    def _each_raw(self) -> Iterable[bytes]:
        if self.lengths is None:
            return self.raws.splitlines(keepends=True)
        ends = accumulate(self.lengths, initial=0)
        return (self.raws[start:end] for start, end in pairwise(ends))


def read_runs(pieces: Iterable[bytes], *, preferred: str) -> Iterator[ChecksumRun]:
    r"""Read a checksum file as `read_checksum_file` does, in a third of the time.

    >>> empty = b"d41d8cd98f00b204e9800998ecf8427e"
    >>> [run] = read_runs([empty + b"  a\n" + empty + b" *b\n"], preferred="sha256")
    >>> run.algorithms, run.total, run.raws[-4:]
    (('md5',), 2, b' *b\n')
    """
    before = 0
    for text, end in whole_lines(pieces):
        run = _plain_run(text, end, preferred)
        if run:
            yield run
            before += run.total
        else:
            yield from runs_of(entries_in(text, end, preferred=preferred, before=before))
            before += text.count(end) if end else 1


def runs_of(entries: Iterable[ChecksumEntry]) -> Iterator[ChecksumRun]:
    """The same in runs."""
    for algorithms, group in groupby(entries, attrgetter("algorithms")):
        while alike := list(islice(group, _MOST_ENTRIES)):
            yield ChecksumRun(
                algorithms,
                len(alike[0].value),
                b"".join([one.value for one in alike]),
                b"".join([one.raw for one in alike]),
                array("I", [len(one.raw) for one in alike]),
            )


def _plain_run(text: bytes, end: bytes, preferred: str) -> ChecksumRun | None:
    """The run of lines that are all ``<hex>  name``, with as many digits as the first."""
    digits = text.find(b" ")
    # A carriage return, in a name or at a line's end, is for who reads line by line.
    if end != b"\n" or digits < 0 or digits % 2 or b"\r" in text:
        return None
    size = digits // 2
    try:
        algorithms = algorithms_meant(None, size, preferred)
        if not _lines_of(digits).fullmatch(text):
            return None
        digests = unhexlify(b"".join([line[:digits] for line in text.splitlines()]))
    except (ValueError, MalformedChecksums):
        return None
    return ChecksumRun(algorithms, size, digests, text)


@functools.lru_cache(maxsize=16)
def _lines_of(digits: int) -> re.Pattern[bytes]:
    # Whether it is hexadecimal is told by who decodes it, in less time. A longer name is for who
    # reads line by line.
    longest = MOST_LINE_BYTES - digits - 2
    return re.compile(rb"(?:.{%d} [ *].{1,%d}\n)++" % (digits, longest))
