"""Names held by one thread at a time, and room without end."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from httpbucket.domain.errors import Busy
from httpbucket.storage.base import TURN_SECONDS, Space


class MemoryCapacity:
    """Tells what it is told."""

    def __init__(self, space: Space | None = None) -> None:
        self._space = space

    def space(self) -> Space | None:
        return self._space


class MemoryTurns:
    """Names that one thread holds at a time."""

    def __init__(self) -> None:
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextmanager
    def __call__(
        self, name: str, check: Callable[[], None] = lambda: None, *, seconds: float = TURN_SECONDS
    ) -> Iterator[datetime | None]:
        with _held(self._locks[name], check, seconds):
            yield None


@contextmanager
def _held(
    lock: threading.Lock | threading.RLock, check: Callable[[], None], seconds: float
) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while not lock.acquire(timeout=0.02):
        if time.monotonic() >= deadline:
            raise Busy("Another request works on the same; try again in a few seconds.")
        check()
    try:
        yield
    finally:
        lock.release()
