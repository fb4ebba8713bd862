"""Who waits for another request keeps no place from others for long."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from httpbucket.storage.local.layout import Layout
from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer, wait_until
from tests.live.wire import Wire

KEY = "nightly"


@contextmanager
def held(path: Path) -> Iterator[None]:
    """The lock of a file, as another process has it."""
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def server(servers: ServerFactory) -> LiveServer:
    return servers.start(WEB_CONCURRENCY="1", THREADS="2")


@pytest.fixture
def turn(server: LiveServer) -> Path:
    digest = hashlib.sha256(f"idempotency-key {KEY}".encode()).hexdigest()
    return Layout(server.archive).locks / f"turn-{digest}"


def waiting(server: LiveServer, turn: Path) -> int:
    return server.open_files().count(str(turn))


def try_again(wire: Wire) -> None:
    wire.send_request("PUT", "/upload/a.txt", b"again", {"Idempotency-Key": KEY})


def test_retries_whose_clients_went_away_leave_their_places(server: LiveServer, turn: Path) -> None:
    with held(turn):
        for _ in range(2):
            with server.connect() as wire:
                try_again(wire)
                wait_until(lambda: waiting(server, turn) > 0, seconds=20, what="it waits")
        server.upload(b"of another client")
        wait_until(lambda: waiting(server, turn) == 0, seconds=20, what="nobody waits")


def test_a_retry_that_waits_in_vain_is_told_when_to_ask_again(
    server: LiveServer, turn: Path
) -> None:
    with held(turn), server.connect() as wire:
        try_again(wire)
        answer = wire.receive_answer()
    assert (answer.status, answer.problem) == (503, "busy")
    assert answer.headers["Retry-After"] == "5"
