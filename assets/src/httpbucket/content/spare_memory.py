"""Memory for the pieces of large contents, bounded and used again.

Who asks the system for a new MiB for every MiB that comes pays for each page of it, and with many
uploads there is no telling how much they hold. Pieces begin at a page, so that a disk can take them
from where they lie.
"""

from __future__ import annotations

import ctypes
import mmap
from collections import deque

PIECE_BYTES = 1024**2

#: For an upload at full speed: one piece is received, the others wait to be hashed and written.
PIECES = 8


class SpareMemory:
    """Pieces, each of which is somebody's for as long as any view of it is held.

    >>> memory = SpareMemory(pieces=1)
    >>> piece = memory.take()
    >>> memory.take() is None
    True
    >>> head = piece[:4]
    >>> del piece
    >>> memory.take() is None
    True
    >>> del head
    >>> len(memory.take())
    1048576
    """

    def __init__(self, *, pieces: int = PIECES) -> None:
        # What was used last is taken first; memory takes room from its first use on.
        self._spare: deque[mmap.mmap | None] = deque([None] * pieces)

    def take(self) -> memoryview | None:
        """A piece of `PIECE_BYTES`, with whatever is in it; None when all are somebody's."""
        try:
            # Private, because a shared one would be one of all processes that are forked.
            memory = self._spare.pop() or mmap.mmap(
                -1, PIECE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            )
        except IndexError:
            return None
        held = _Held.from_buffer(memory)
        held.memory, held.spare = memory, self._spare
        return memoryview(held).cast("B")


class _Held(ctypes.Array[ctypes.c_ubyte]):
    """What views of a piece refer to: it goes with the last of them, and gives the piece back."""

    _type_ = ctypes.c_ubyte
    _length_ = PIECE_BYTES

    memory: mmap.mmap
    spare: deque[mmap.mmap | None]

    def __del__(self) -> None:
        self.spare.append(self.memory)
