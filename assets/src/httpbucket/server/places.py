"""Places for requests at work, lent to others by those that wait for their clients."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: How long a thread waits for a place that it lent. It goes on without one then: those who have
#: the places may be waiting for something that this thread holds.
RETURN_SECONDS = 5.0


class Places:
    """So many requests are at work at once, and any number wait for bytes besides."""

    def __init__(self, count: int) -> None:
        self._free = threading.Semaphore(count)
        # Whether this thread has a place; no such attribute outside of `taken`.
        self._local = threading.local()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for a place, and have it."""
        self._free.acquire()
        self._local.has_place = True
        try:
            yield
        finally:
            self._give_back()
            del self._local.has_place

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let another request have this thread's place, if it has one, and get it back."""
        if not hasattr(self._local, "has_place"):
            yield
            return
        self._give_back()
        try:
            yield
        finally:
            self._local.has_place = self._free.acquire(timeout=RETURN_SECONDS)

    def _give_back(self) -> None:
        if self._local.has_place:
            self._local.has_place = False
            self._free.release()
