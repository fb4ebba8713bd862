"""Bytes on their way in."""

from __future__ import annotations

from typing import BinaryIO, Protocol


class StagedFile(Protocol):
    """Bytes on their way in, seen by nobody else. Used by one thread at a time."""

    @property
    def size(self) -> int:
        """How many bytes were written."""
        ...

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Append all of ``piece``; one that cannot be written to stays as it is while held."""
        ...

    def open(self) -> BinaryIO:
        """A reader of what was written, from its start, seekable. The caller closes it."""
        ...

    def rest(self) -> None:
        """Take no descriptor until the next use, for who lets many wait that came whole."""
        ...

    def discard(self) -> None:
        """Forget the bytes; the blob that they became is no longer held. May be repeated."""
        ...


class Staging(Protocol):
    """Where bytes wait until it is known whether they are kept."""

    def create(self, *, size: int = 0) -> StagedFile:
        """A new, empty staged file. The caller keeps or discards it.

        ``size`` bytes are set aside for it, for which `StorageFull` is raised when there is no
        room; more or fewer may be written.
        """
        ...

    def sweep(self, *, idle_too: bool = True) -> int:
        """Discard what processes that no longer live left behind; how many things that were.

        Staged files of living processes, other servers' on the same store too, stay. Unless
        ``idle_too``, so does the place of a process that ended with nothing under way.
        """
        ...
