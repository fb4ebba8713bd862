"""Keeping background work from taking the whole disk."""

from __future__ import annotations

import time
from collections.abc import Callable

#: What was not used may be made up for, but only so much of it.
_BURST_SECONDS = 1.0


class Pace:
    """Called with a number of bytes, returns when they fit the rate (bytes a second)."""

    def __init__(
        self,
        rate: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._free_at = clock()

    def __call__(self, size: int) -> None:
        """Wait until earlier bytes have had their time."""
        now = self._clock()
        self._free_at = max(self._free_at, now - _BURST_SECONDS)
        if self._free_at > now:
            self._sleep(self._free_at - now)
        self._free_at += size / self._rate
