"""Large files written past the page cache, by a thread beside the one that brings their bytes.

New pages in the cache cost where the kernel has to find memory for each: 1.7 to 3 s of processor
time for 10⁹ bytes on a virtual machine whose host takes back what is free, 0.1 s with O_DIRECT.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

from httpbucket.storage.local.disk import Disk

#: Files that are announced to be so large. Of smaller ones there is less to win than to lose: who
#: reads them soon, to unpack them for one, finds them in memory.
LARGE_BYTES = 16 * 1024**2

#: So many files of a process at a time; others are written through the cache.
FILES = 4

#: What does not lie as a disk can take it is copied: one piece is filled, one is written.
PIECES = 2
PIECE_BYTES = 512 * 1024

#: What memory, place in the file and length are multiples of: the page, which is at least the
#: block of any disk (open(2), O_DIRECT).
_BLOCK = max(4096, mmap.PAGESIZE)

_Bytes = bytes | bytearray | memoryview


class PastCache:
    """Bounds the memory that it takes: pieces for a few files, used again for the next ones."""

    def __init__(self, disk: Disk, *, files: int = FILES) -> None:
        self._disk = disk
        # What was used last is taken first. Memory takes room from its first use on.
        self._lanes: deque[mmap.mmap | None] = deque([None] * files)

    def begin(self, descriptor: int) -> DirectWriter | None:
        """Take over writing to a file of which nothing is written yet.

        None where the file system or the platform does not offer it, or others write already.
        """
        try:
            lane = self._lanes.pop()
        except IndexError:
            return None
        with suppress(OSError):
            # Private, because a shared one would be one of all processes that are forked.
            lane = lane or mmap.mmap(
                -1, PIECES * PIECE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            )
            if self._disk.go_direct(descriptor):
                return DirectWriter(self._disk, descriptor, lane, self._lanes.append)
        self._lanes.append(lane)
        return None


class DirectWriter:
    """Takes the bytes of one file. It ends with `finish` or with `abandon`."""

    def __init__(
        self, disk: Disk, descriptor: int, lane: mmap.mmap, leave: Callable[[mmap.mmap], None]
    ) -> None:
        self._disk = disk
        self._descriptor = descriptor
        self._lane = lane
        self._leave = leave
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        self._full: SimpleQueue[memoryview | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        memory = memoryview(lane)
        for start in range(0, len(memory), PIECE_BYTES):
            self._free.put(memory[start : start + PIECE_BYTES])
        self._piece: memoryview | None = None
        self._filled = 0

    def write(self, content: _Bytes) -> None:
        """Take the next bytes. Raises what failed of earlier ones."""
        rest = memoryview(content)
        while rest:
            self._raise_error()
            rest = rest[self._take_as_it_lies(rest) or self._copy(rest) :]

    def _take_as_it_lies(self, content: memoryview) -> int:
        """Have so much of it written without a copy."""
        whole = len(content) - len(content) % _BLOCK
        if self._filled or not whole or not _stays(content):
            return 0
        self._hand_over(content[:whole])
        return whole

    def _copy(self, content: memoryview) -> int:
        """Take so much of it into a piece, which is handed over when it is full."""
        self._piece = self._piece or self._free.get()
        count = min(len(content), PIECE_BYTES - self._filled)
        self._piece[self._filled : self._filled + count] = content[:count]
        self._filled += count
        if self._filled == PIECE_BYTES:
            self._hand_over(self._piece)
            self._piece, self._filled = None, 0
        return count

    def finish(self) -> None:
        """Return when all is written; whoever writes next writes through the cache."""
        rest = self._piece[: self._filled] if self._piece else memoryview(b"")
        whole = self._filled - self._filled % _BLOCK
        if whole:
            self._hand_over(rest[:whole])
        self._end()
        try:
            self._raise_error()
            self._disk.go_through_cache(self._descriptor)
            self._disk.write(self._descriptor, rest[whole:])
        finally:
            self._leave(self._lane)

    def abandon(self) -> None:
        """Return when nothing is written any more, wherever it stopped."""
        self._error = self._error or OSError(errno.ECANCELED, "abandoned")
        self._end()
        self._leave(self._lane)

    def _hand_over(self, piece: memoryview) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="writing", daemon=True)
            with suppress(RuntimeError):
                thread.start()
                self._thread = thread
        if self._thread is None:
            # The system allows no more threads.
            self._write_out(piece)
        else:
            self._full.put(piece)

    def _end(self) -> None:
        if self._thread is not None:
            self._full.put(None)
            self._thread.join()
            self._thread = None

    def _raise_error(self) -> None:
        if self._error:
            raise self._error

    def _run(self) -> None:
        while (piece := self._full.get()) is not None:
            self._write_out(piece)
            # It may be somebody else's who waits for it.
            del piece

    def _write_out(self, piece: memoryview) -> None:
        try:
            if not self._error:
                self._disk.write_direct(self._descriptor, piece)
        except BaseException as error:
            self._error = error
        if not piece.readonly:
            self._free.put(piece)


def _stays(content: memoryview) -> bool:
    """Whether its bytes stay as they are, and probably lie where a disk can take them.

    If they do not, the file system says so, and the rest of the file goes through the cache.
    """
    return content.readonly and isinstance(content.obj, ctypes.Array)
