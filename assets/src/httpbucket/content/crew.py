"""Threads that work beside those which bring contents."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

#: A thread that has nothing to do for so long ends.
IDLE_SECONDS = 5.0

_Step = Callable[[], bool]


class Crew:
    """Threads that take one step after the other, of whatever there is to do in turn.

    They work for few contents at a time: with as many contents as cores, all cores are busy without
    them, and each hashes what it has just received with less work.
    """

    def __init__(self, size: int | None = None) -> None:
        self._size = size or max(2, os.cpu_count() or 2)
        self._rooms = self._size // 2
        self._steps: deque[_Step] = deque()
        self._changed = threading.Condition()
        self._idle = 0
        self.count = 0

    def enter(self) -> bool:
        """Whether there is room for one content more; then `leave` has to follow."""
        if not self._rooms:
            return False
        with self._changed:
            has_room = self._rooms > 0
            self._rooms -= has_room
            return has_room

    def leave(self) -> None:
        """A content is hashed, or given up."""
        with self._changed:
            self._rooms += 1

    def go_on_with(self, step: _Step) -> None:
        """Take this step, and again for as long as it returns that there are more."""
        with self._changed:
            self._steps.append(step)
            if self._idle < len(self._steps) and self.count < self._size:
                self._start()
            self._changed.notify()
            is_empty = self.count == 0
        if is_empty:
            # The system allows no more threads.
            self._work_off()

    def _start(self) -> None:
        with suppress(RuntimeError):
            threading.Thread(target=self._run, name="hashing", daemon=True).start()
            self.count += 1

    def _work_off(self) -> None:
        with suppress(IndexError):
            while True:
                step = self._steps.popleft()
                if step():
                    self._steps.append(step)

    def _run(self) -> None:
        more: _Step | None = None
        while step := self._next(more):
            more = step if step() else None
            # Nothing of a content is kept alive until the next one.
            del step

    def _next(self, more: _Step | None) -> _Step | None:
        """The next step in turn, behind which ``more`` comes again; None when the thread ends."""
        with self._changed:
            if more:
                self._steps.append(more)
            self._idle += 1
            self._changed.wait_for(lambda: self._steps, timeout=IDLE_SECONDS)
            self._idle -= 1
            if self._steps:
                return self._steps.popleft()
            self.count -= 1
            return None
