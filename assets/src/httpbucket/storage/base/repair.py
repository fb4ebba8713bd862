"""Making whole what a disk or a copy damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from httpbucket.domain.digest import Digest
from httpbucket.domain.upload import Record


@dataclass(frozen=True, slots=True)
class Relinked:
    """What `Repair.relink` did: names made right, blobs made again, paths that nothing can fill."""

    names: int = 0
    blobs: int = 0
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a blob is kept: in how many files, and how many names lead to them beside their own.

    ``size`` is the content's bytes; ``holders`` are uploads on their way in that pinned it.
    """

    size: int
    files: int
    names: int
    holders: int


class Repair(Protocol):
    """What is done about blobs that are not what they are called, and names that show others."""

    def quarantine(self, blob: Digest) -> None:
        """Take the blob out of the store, and keep its bytes aside. May be repeated.

        From then on it is as if it had never been kept, until its right bytes are kept again;
        other names of the wrong bytes stay until `relink`.
        """
        ...

    def quarantine_siblings(self, blob: Digest, on_piece: Callable[[int], None] = ...) -> int:
        """The same for further copies of the blob, those whose bytes are wrong; how many went.

        All of them are read; ``on_piece`` is called with the bytes of each read.
        """
        ...

    def quarantined(self) -> Iterator[Digest]:
        """The blobs that were taken out, also those that are kept again."""
        ...

    def release(self, blob: Digest) -> None:
        """Forget the bytes that were put aside. May be repeated."""
        ...

    def relink(self, record: Record) -> Relinked:
        """Make every name of an upload, and its replicas, show the blob that it should.

        A blob that is gone is made again from a name that still has its bytes; where none has, the
        name is left as it is. Nothing is replaced by bytes that were not read and found right.
        """
        ...
