"""What looking after a store needs: who holds a blob, how far a task came, what room is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from httpbucket.domain.digest import Digest
from httpbucket.storage.base.repair import Standing


class Survey(Protocol):
    """What lies in the place of blobs, whatever records and the index say of it."""

    def standing(self, blob: Digest) -> Standing | None:
        """How the blob is kept; None when it is not."""
        ...

    def strangers(self) -> Iterator[str]:
        """Paths, relative to the store, of what lies among the blobs and has no blob's name."""
        ...


class Notes(Protocol):
    """Short texts that outlive the process. Losing one costs work that is done again, no more."""

    def read(self, name: str) -> str:
        """The text that was written last under this name; empty where there is none."""
        ...

    def write(self, name: str, text: str) -> None:
        """Keep the text in place of the earlier one, in one step."""
        ...


@dataclass(frozen=True, slots=True)
class Space:
    """What a store may grow into: bytes, and names (inodes) where the backend counts them.

    ``free`` is what this program may still use, which can be less than nobody uses.
    """

    total: int
    free: int
    total_names: int | None = None
    free_names: int | None = None


class Capacity(Protocol):
    """How much room the place has where things are kept."""

    def space(self) -> Space | None:
        """The room that is there now; None where the backend has no bounds or cannot tell."""
        ...
