"""A request that has probably come whole, taken off its connection before gunicorn reads it."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import Any

from httpbucket.server.incoming import Patience

#: How long the rest of a request is waited for in all, by who does not wait for clients.
REST_SECONDS = 0.002


class Gathering:
    """What came of the next request on a connection, whose reads must not block.

    What is not answered is given back, and reads as if it had never been taken.
    """

    def __init__(self, conn: Any, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._unreader = conn.parser.unreader
        self._descriptor = conn.sock.fileno()
        self._came = b""
        self._patience = Patience(seconds=REST_SECONDS)
        self._clock = clock

    def start(self, most: int) -> bytes:
        """What is there of it, up to ``most`` bytes; empty where nothing comes."""
        self._came = self._unreader.take_buffered() or self._more(most)
        return self._came

    def body(self, head_size: int, length: int) -> bytes | None:
        """The body of so many bytes; None when it does not come at once, or more than it came."""
        size = head_size + length
        while len(self._came) < size:
            piece = self._more(size - len(self._came))
            if not piece:
                return None
            self._came += piece
        return self._came[head_size:] if len(self._came) == size else None

    def give_back(self) -> None:
        """Leave all that came to gunicorn."""
        self._unreader.unread(self._came)

    def _more(self, size: int) -> bytes:
        try:
            return os.read(self._descriptor, size)
        except BlockingIOError:
            return self._awaited(size)
        except OSError:
            # What is wrong with the connection, gunicorn finds out.
            return b""

    def _awaited(self, size: int) -> bytes:
        if self._patience.left <= 0:
            return b""
        waiting = select.poll()
        waiting.register(self._descriptor, select.POLLIN)
        started = self._clock()
        is_ready = waiting.poll(self._patience.left * 1000)
        self._patience.spend(self._clock() - started)
        if not is_ready:
            return b""
        try:
            return os.read(self._descriptor, size)
        except OSError:
            return b""
