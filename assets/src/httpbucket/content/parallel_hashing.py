"""Hashing beside receiving: the digests of a large content in threads that all contents share.

hashlib and zlib let other threads run while they work. A thread that receives and writes hands its
pieces on and goes on; several digests of one content are computed at once.
"""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterable

from httpbucket.content.crew import Crew
from httpbucket.content.hashing import ContentHasher

#: Content up to here is hashed by who brings it: below, handing on costs more than it saves.
INLINE_BYTES = 1024**2

#: Pieces are handed on together when they are so long: with 64 KiB it costs a third more time.
BATCH_BYTES = 512 * 1024

#: How many bytes of one content may wait to be hashed; who brings more waits.
WAITING_BYTES = 1024**2

_Bytes = bytes | bytearray | memoryview


class ParallelHasher:
    """As `ContentHasher`; from `INLINE_BYTES` on, a crew computes if it has room.

    What fails there is raised by the next call.
    """

    def __init__(self, algorithms: Iterable[str], crew: Crew) -> None:
        self._hasher = ContentHasher(algorithms)
        self._crew = crew
        self.size = 0
        self._batch: list[_Bytes] = []
        self._batch_bytes = 0
        self._posted = 0
        self._lines: list[_Line] = []
        self._is_in_crew = False
        self._changed = threading.Condition()
        self._error: BaseException | None = None

    @property
    def algorithms(self) -> tuple[str, ...]:
        return self._hasher.algorithms

    @property
    def crc32(self) -> int:
        self._catch_up()
        return self._hasher.crc32

    def update(self, piece: bytes | bytearray | memoryview) -> None:
        self.size += len(piece)
        if self.size <= INLINE_BYTES or not self._enter_crew():
            self._hasher.update(piece)
            return
        # What may be written to would not stay as it is while others read it.
        self._batch.append(piece if memoryview(piece).readonly else bytes(piece))
        self._batch_bytes += len(piece)
        if self._batch_bytes >= BATCH_BYTES:
            self._post()

    def digests(self) -> dict[str, str]:
        self._catch_up()
        return self._hasher.digests()

    def close(self) -> None:
        with self._changed:
            for line in self._lines:
                line.batches.clear()
        self._leave_crew()

    def _enter_crew(self) -> bool:
        self._is_in_crew = self._is_in_crew or self._crew.enter()
        return self._is_in_crew

    def _leave_crew(self) -> None:
        if self._is_in_crew:
            self._is_in_crew = False
            self._crew.leave()

    def _catch_up(self) -> None:
        """Wait until all that came is hashed."""
        if self._batch:
            self._post()
        if self._posted:
            with self._changed:
                self._wait_until(lambda: self._unhashed() == 0)
        self._leave_crew()

    def _post(self) -> None:
        batch, size = tuple(self._batch), self._batch_bytes
        self._batch, self._batch_bytes = [], 0
        self._lines = self._lines or [_Line(take) for take in self._hasher.parts()]
        with self._changed:
            self._wait_until(lambda: self._unhashed() <= WAITING_BYTES)
            self._posted += size
            for line in self._lines:
                line.batches.append((batch, size))
            resting = [line for line in self._lines if not line.is_running]
            for line in resting:
                line.is_running = True
        for line in resting:
            self._crew.go_on_with(functools.partial(self._step, line))

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: self._error or is_so())
        if self._error:
            raise self._error

    def _unhashed(self) -> int:
        """How far the slowest digest is behind."""
        return self._posted - min((line.done for line in self._lines), default=self._posted)

    def _step(self, line: _Line) -> bool:
        """Hash a batch, in a thread of the crew; whether there are more."""
        with self._changed:
            batch, size = line.batches.popleft() if line.batches else ((), 0)
        try:
            for piece in batch:
                line.take(piece)
        except BaseException as error:
            self._error = error
        with self._changed:
            line.done += size
            line.is_running = bool(line.batches) and not self._error
            self._changed.notify()
            return line.is_running


class _Line:
    """One digest's batches, which are hashed one after the other."""

    def __init__(self, take: Callable[[_Bytes], None]) -> None:
        self.take = take
        self.batches: deque[tuple[tuple[_Bytes, ...], int]] = deque()
        self.done = 0
        self.is_running = False
