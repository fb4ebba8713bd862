"""The bytes of a body as they come on a connection, and how long they are waited for."""

from __future__ import annotations

import math
import os
import select
import socket
import time
from collections.abc import Callable

from httpbucket.server.places import Places


class Patience:
    """How many seconds more a client may let us wait.

    Each byte earns time, so that a client that sends ``least_rate`` bytes a second is waited for
    without end; no more than ``seconds`` can be saved up. Only waiting counts: what we take for
    hashing and writing is not the client's.
    """

    def __init__(self, *, seconds: float, least_rate: float = math.inf) -> None:
        self.left = seconds
        self._seconds = seconds
        self._least_rate = least_rate

    def earn(self, count: int) -> None:
        """So many bytes came."""
        self.left = min(self.left + count / self._least_rate, self._seconds)

    def spend(self, seconds: float) -> None:
        """So long was waited."""
        self.left -= seconds


class Incoming:
    """Reads a connection without TLS; what gunicorn's own reader needs of a socket, and more.

    While it waits, the thread's place is another's. Raises TimeoutError when patience ends.
    """

    def __init__(
        self,
        connection: socket.socket,
        patience: Patience,
        places: Places,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Reading from the descriptor never waits, because the connection has a time-out. A socket
        # that has one would ask the kernel twice, first whether there is something.
        assert connection.gettimeout() is not None, "the connection must not block"
        self._descriptor = connection.fileno()
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._patience = patience
        self._places = places
        self._clock = clock

    def recv(self, size: int) -> bytes:
        """What is there of the next ``size`` bytes, at least one; empty at the end."""
        while True:
            try:
                piece = os.read(self._descriptor, size)
            except BlockingIOError:
                self._wait()
            else:
                self._patience.earn(len(piece))
                return piece

    def recv_into(self, view: memoryview) -> int:
        """As `recv`, into memory that there is."""
        while True:
            try:
                count = os.readv(self._descriptor, [view])
            except BlockingIOError:
                self._wait()
            else:
                self._patience.earn(count)
                return count

    def settimeout(self, seconds: float) -> None:
        """From now on wait for so long in all, however much comes."""
        self._patience = Patience(seconds=seconds)

    def _wait(self) -> None:
        is_ready = None
        # Not after its end either: what comes bit by bit may come just then, again and again.
        if self._patience.left > 0:
            with self._places.lent():
                started = self._clock()
                is_ready = self._poll.poll(self._patience.left * 1000)
                self._patience.spend(self._clock() - started)
        if not is_ready:
            raise TimeoutError("the client sends too little")


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed, seen without taking what it may have sent."""
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    try:
        return bool(waiting.poll(0)) and not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True
