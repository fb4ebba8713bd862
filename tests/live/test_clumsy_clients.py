"""Clients that hold connections, by malice or by mistake, and stop nobody else."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.live.conftest import ServerFactory
from tests.live.server import SERVE, LiveServer, wait_until
from tests.live.wire import Wire

#: More than all threads of the servers here.
MANY = 10


@pytest.fixture
def server(servers: ServerFactory) -> LiveServer:
    return servers.start(WEB_CONCURRENCY="1", THREADS="2", BODY_IDLE_SECONDS="1")


@contextmanager
def connections(server: LiveServer, piece: bytes) -> Iterator[list[Wire]]:
    """Many connections on which this is sent, and nothing else done."""
    with ExitStack() as stack:
        wires = [stack.enter_context(server.connect()) for _ in range(MANY)]
        for wire in wires:
            wire.send(piece)
        yield wires


def assert_answers_soon(server: LiveServer) -> None:
    """A guard: one held connection after the other would take longer by far."""
    with server.connect(seconds=15) as wire:
        wire.send_request("GET", "/ping")
        assert wire.receive_answer().body == b"pong\n"


def test_answers_whose_connections_the_client_does_not_close(server: LiveServer) -> None:
    with connections(server, b"GET /ping HTTP/1.0\r\n\r\n") as wires:
        assert_answers_soon(server)
        assert [wire.receive_answer().status for wire in wires] == [200] * MANY
        assert_answers_soon(server)


def test_requests_that_stop_in_the_middle_of_their_head(server: LiveServer) -> None:
    with connections(server, b"GET /ping HTT") as wires:
        assert_answers_soon(server)
        assert [wire.is_closed_by_peer() for wire in wires] == [True] * MANY
    assert "ERROR" not in server.log


def test_a_head_that_comes_in_pieces_is_answered(server: LiveServer) -> None:
    with server.connect() as wire:
        for piece in (b"GET /pi", b"ng HTTP/1.1\r\nHo", b"st: x\r\n", b"\r\n"):
            wire.send(piece)
        assert wire.receive_answer().body == b"pong\n"


def test_connections_on_which_nothing_is_sent(server: LiveServer) -> None:
    with connections(server, b"") as wires:
        assert_answers_soon(server)
        wires[0].send_request("GET", "/ping")
        assert wires[0].receive_answer().body == b"pong\n"


def test_a_client_that_sends_on_after_the_last_answer(server: LiveServer) -> None:
    with server.connect() as wire:
        wire.send(b"GET /ping HTTP/1.0\r\n\r\n" + bytes(200_000))
        assert wire.receive_answer().body == b"pong\n"
        assert_answers_soon(server)


def test_connections_on_which_nothing_is_sent_do_not_hold_up_the_end(server: LiveServer) -> None:
    with connections(server, b""):
        assert_answers_soon(server)
        before = time.monotonic()
        assert server.stop() == 0
        # A guard: a connection may be kept for thirty seconds otherwise.
        assert time.monotonic() - before < 15
        server.start()


def test_as_many_descriptors_are_used_as_the_hard_limit_allows(servers: ServerFactory) -> None:
    limited = ["sh", "-euc", 'ulimit -n 300; ulimit -S -n 64; exec "$@"', "sh", *SERVE]
    server = servers.start(command=limited)
    for worker in server.workers():
        assert resource.prlimit(worker, resource.RLIMIT_NOFILE) == (300, 300)


def test_more_connections_than_there_are_descriptors(servers: ServerFactory) -> None:
    limited = ["sh", "-euc", 'ulimit -n 64; exec "$@"', "sh", *SERVE]
    server = servers.start(command=limited, WEB_CONCURRENCY="1")
    workers = server.workers()
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(server.connect())
        wait_until(
            lambda: "No descriptor is left" in server.log, seconds=15, what="none can be accepted"
        )
    assert_answers_soon(server)
    assert server.workers() == workers
