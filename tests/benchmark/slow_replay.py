"""What ``replay.c`` does, for machines without a compiler: same arguments, same output.

A thread for each connection. It may be slower than the servers it measures.
"""

from __future__ import annotations

import http.client
import socket
import struct
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Protocol


class _Take(Protocol):
    def __call__(self) -> bytes | None: ...


class Connection(threading.Thread):
    """One connection, which sends what ``take`` gives it until that gives nothing."""

    def __init__(self, port: int, take: _Take) -> None:
        super().__init__()
        self.statuses: Counter[int] = Counter()
        self.body_bytes = 0
        self._port = port
        self._take = take

    def run(self) -> None:
        connection = self._connect()
        while (request := self._take()) is not None:
            connection.sendall(request)
            answer = http.client.HTTPResponse(connection, method=request.split(b" ", 1)[0].decode())
            answer.begin()
            self.body_bytes += len(answer.read())
            self.statuses[answer.status] += 1
            closes = answer.will_close
            answer.close()
            if closes:
                connection.close()
                connection = self._connect()
        connection.close()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=120)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


class Supply:
    """Gives out requests: each once, or in turn until the time is over."""

    def __init__(self, requests: list[bytes], seconds: float) -> None:
        self._requests = requests
        self._deadline = time.perf_counter() + seconds if seconds else None
        self._next = 0
        self._lock = threading.Lock()

    def take(self) -> bytes | None:
        with self._lock:
            number = self._next
            self._next += 1
        if self._deadline is None:
            return self._requests[number] if number < len(self._requests) else None
        over = time.perf_counter() >= self._deadline
        return None if over else self._requests[number % len(self._requests)]


def main(port: str, connections: str, path: str, seconds: str) -> None:
    """Run, and print what came back."""
    requests = _load(Path(path).read_bytes())
    start = time.perf_counter()
    supply = Supply(requests, float(seconds))
    threads = [Connection(int(port), supply.take) for _ in range(int(connections))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{time.perf_counter() - start:.6f} {sum(one.body_bytes for one in threads)} 0")
    for status, count in sum((one.statuses for one in threads), Counter[int]()).items():
        print(status, count)


def _load(packed: bytes) -> list[bytes]:
    requests, at = [], 0
    while at < len(packed):
        (length,) = struct.unpack_from("=I", packed, at)
        requests.append(packed[at + 4 : at + 4 + length])
        at += 4 + length
    return requests


if __name__ == "__main__":
    main(*sys.argv[1:])
