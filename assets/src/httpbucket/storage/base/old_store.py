"""A store of the original, to take over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from httpbucket.domain.digest import Digest


@dataclass(frozen=True, slots=True)
class OldFile:
    """A content in a store of the original, and the name that it has there.

    ``path`` is where it is named and ``source`` where its bytes are, relative to the store; None
    where the name leads nowhere. ``directory`` is the replica's (``USER/bob``), empty for a blob
    itself. ``filename`` lacks the suffix where the original dropped it (``is_stem``). ``digest`` is
    what its bytes should have. ``is_member`` says that it is a file of a tree as well. ``tree`` is
    the directory of a tree whose archive file is gone, which is named instead.
    """

    path: str
    source: str | None
    filename: str
    is_stem: bool
    directory: str
    received: datetime
    digest: Digest | None
    is_member: bool = False
    tree: str = ""


class OldStore(Protocol):
    """A store of the original program, which is only read."""

    def names(self) -> Iterator[OldFile]:
        """What has a replica's name, the oldest first."""
        ...

    def blobs(self) -> Iterator[OldFile]:
        """Every tree whose archive file is gone, and every blob; archive files come first."""
        ...

    def members(self, tree: str) -> Iterator[tuple[str, str]]:
        """The files of a tree in order: the path in it, and where its bytes are."""
        ...

    def strangers(self) -> Iterator[str]:
        """Paths of what is neither."""
        ...

    def open(self, source: str) -> BinaryIO:
        """A reader. The caller closes it. Raises `NotTakenOver`."""
        ...
