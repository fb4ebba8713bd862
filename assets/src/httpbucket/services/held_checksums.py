"""A list of digests that a client sends, put aside until it came whole: `HeldChecksums`.

A hundred clients may be sending one, each slowly; only one list at a time is looked up.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import BinaryIO

from httpbucket.domain.checksum_runs import ChecksumRun
from httpbucket.services.spool import Spool


class HeldChecksums:
    """Runs of digests in the order in which they came, to be gone through again and again."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        #: How many digests there are.
        self.total = 0

    def add(self, run: ChecksumRun) -> None:
        """Append a run."""
        lengths = run.lengths.tobytes() if run.lengths else b""
        sizes = (run.size, len(run.digests), len(run.raws), len(lengths))
        head = b"%s %d %d %d %d\n" % (",".join(run.algorithms).encode(), *sizes)
        self._spool.write(b"".join((head, run.digests, run.raws, lengths)))
        self.total += run.total

    def __iter__(self) -> Iterator[ChecksumRun]:
        """Every run."""
        with self._spool.open() as reader:
            while head := reader.readline():
                yield _run(head, reader)


def _run(head: bytes, reader: BinaryIO) -> ChecksumRun:
    names, *sizes = head.split()
    size, *rest = map(int, sizes)
    digests, raws, lengths = map(reader.read, rest)
    algorithms = tuple(names.decode().split(","))
    return ChecksumRun(algorithms, size, digests, raws, array("I", lengths) if lengths else None)
