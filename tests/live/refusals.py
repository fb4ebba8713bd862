"""Uploads that may be refused, and what must be true in spite of the refusal."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress

from tests.live.mounted import MountedServer
from tests.live.server import LiveServer, digest, wait_until
from tests.live.store_checks import faults
from tests.live.wire import Answer, chunk, multipart, request_head

FIRST = b"kept before the trouble " * 1000


def send(server: LiveServer, content: bytes, filename: str = "results.xml") -> Answer:
    """Upload, whatever the answer is."""
    body, kind = multipart(content, filename)
    return server.request("POST", "/upload", body, {"Content-Type": kind})


def send_chunked(server: LiveServer, content: bytes) -> Answer:
    """Upload without saying how long it is."""
    body, kind = multipart(content)
    headers = {"Content-Type": kind, "Transfer-Encoding": "chunked"}
    pieces = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
    with server.connect(seconds=60) as wire:
        wire.send(request_head("POST", "/upload", headers))
        with suppress(ConnectionError):
            wire.send(b"".join(map(chunk, pieces)) + chunk(b""))
        return wire.receive_answer()


def assert_refused(answer: Answer, status: int, problem: str) -> None:
    assert (answer.status, answer.problem) == (status, problem), answer
    assert int(answer.headers["Retry-After"]) > 0


def assert_reads_go_on(server: LiveServer) -> None:
    assert server.knows(digest(FIRST)) == 200
    assert server.request("GET", f"/blob/{digest(FIRST)}").body == FIRST
    assert server.request("GET", "/uploads").status == 200


def assert_whole(server: MountedServer) -> None:
    wait_until(lambda: not server.staged(), seconds=10, what="staging is empty")
    assert faults(server.root) == []


def contents(size: int, count: int, seed: int = 1) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(size) for _ in range(count)]


def replace_worker(server: LiveServer) -> None:
    """Kill the only worker, and wait for the one that gunicorn starts instead."""
    (old,) = server.workers()
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: server.workers() not in ([], [old]), seconds=20, what="a worker begins")
