"""A request that has probably come whole, taken off its connection before gunicorn reads it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from httpbucket.server.incoming import Incoming, Patience
from httpbucket.server.places import Places

#: How long the rest of a request is waited for in all, by who does not wait for clients.
REST_SECONDS = 0.002


class WholeRequest:
    """What came of the next request on a connection, whose reads must not block.

    What is not answered is given back, and reads as if it had never been taken.
    """

    def __init__(
        self, conn: Any, places: Places, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._unreader = conn.parser.unreader
        self._incoming = Incoming(conn.sock, Patience(seconds=REST_SECONDS), places, clock=clock)
        self._came = b""

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
            return self._incoming.recv(size)
        except OSError:
            # It does not come now; what is wrong with a connection, gunicorn finds out.
            return b""
