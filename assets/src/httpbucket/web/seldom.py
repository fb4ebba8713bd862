"""Log lines that come once in a while, however often their cause does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

#: How long the same line is held back; a full disk is told of six times a minute.
SECONDS = 10.0

#: So many different lines are remembered.
_MOST = 100


class SeldomLog:
    """Writes a warning, and then only counts the same one for a while.

    A store that is full, read-only or out of descriptors refuses every request in the same words:
    the log, on the same disk perhaps, must not grow with the requests. Used by every thread.
    """

    def __init__(
        self,
        logger: logging.Logger,
        *,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._held_back: dict[str, tuple[float, int]] = {}

    def warning(self, line: str) -> None:
        """Write ``line``, and how often it was held back, unless it was written a moment ago."""
        with self._lock:
            until, times = self._held_back.get(line, (0.0, 0))
            now = self._clock()
            if now < until:
                self._held_back[line] = until, times + 1
                return
            if len(self._held_back) >= _MOST:
                self._held_back.clear()
            self._held_back[line] = now + self._seconds, 0
        again = f" ({times} times more since the last such line)" if times else ""
        self._logger.warning("%s%s", line, again)
