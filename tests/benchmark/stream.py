"""One big body up or down, with as little work for the client as the kernel allows."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmark.scale import MIB

_IDLE_SECONDS = 300


@dataclass(frozen=True)
class Exchange:
    """A request and its answer."""

    seconds: float
    status: int
    headers: dict[str, str]
    body: bytes

    def expect(self, *statuses: int) -> Exchange:
        """This exchange; raises ValueError when the status is another."""
        if self.status not in statuses:
            raise ValueError(f"answered {self.status}: {self.body[:200]!r}")
        return self


def send_file(port: int, head: bytes, file: Path, tail: bytes = b"") -> Exchange:
    """Send ``head``, the bytes of a file (by ``sendfile``) and ``tail``; read the answer."""
    with _connection(port) as connection, file.open("rb") as content:
        start = time.perf_counter()
        connection.sendall(head, socket.MSG_MORE)
        connection.sendfile(content)
        connection.sendall(tail)
        return _answer(connection, start)


def exchange(port: int, request: bytes) -> Exchange:
    """Send a request from memory; read the answer."""
    with _connection(port) as connection:
        start = time.perf_counter()
        connection.sendall(request)
        return _answer(connection, start)


def receive(port: int, request: bytes) -> tuple[float, int]:
    """Seconds and size of a body that is read and forgotten; ValueError when it is not 200."""
    with _connection(port) as connection:
        start = time.perf_counter()
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        room, size = memoryview(bytearray(MIB)), 0
        while got := answer.readinto(room):
            size += got
        took = time.perf_counter() - start
        if answer.status != 200:
            raise ValueError(f"answered {answer.status}")
        answer.close()
        return took, size


def _answer(connection: socket.socket, start: float) -> Exchange:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    body = answer.read()
    took = time.perf_counter() - start
    headers = {name.lower(): value for name, value in answer.getheaders()}
    answer.close()
    return Exchange(took, answer.status, headers, body)


@contextmanager
def _connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=_IDLE_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection
