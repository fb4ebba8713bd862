"""A request is taken off its connection whole, or left as it was."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import TConn

from httpbucket.server.places import Places
from httpbucket.server.whole_request import REST_SECONDS, WholeRequest


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def conn(sockets: tuple[socket.socket, socket.socket]) -> TConn:
    conn = TConn(Config(), sockets[0], ("127.0.0.1", 1), ("127.0.0.1", 2))
    conn.init()
    conn.sock.setblocking(False)
    return conn


@pytest.fixture
def theirs(sockets: tuple[socket.socket, socket.socket]) -> socket.socket:
    return sockets[1]


def unread(conn: TConn) -> bytes:
    """All that gunicorn would read next."""
    return bytes(conn.parser.unreader.take_buffered())


def test_what_is_there_is_taken(conn: TConn, theirs: socket.socket) -> None:
    theirs.sendall(b"head body")
    request = WholeRequest(conn, Places(1))
    assert request.start(100) == b"head body"
    assert request.body(5, 4) == b"body"
    assert unread(conn) == b""


def test_what_was_read_before_comes_first(conn: TConn, theirs: socket.socket) -> None:
    conn.parser.unreader.unread(b"head bo")
    theirs.sendall(b"dy")
    request = WholeRequest(conn, Places(1))
    assert request.start(100) == b"head bo"
    assert request.body(5, 4) == b"body"


def test_a_rest_that_does_not_come_is_not_waited_for(conn: TConn, theirs: socket.socket) -> None:
    theirs.sendall(b"head bo")
    request = WholeRequest(conn, Places(1))
    request.start(100)
    assert request.body(5, 4) is None
    request.give_back()
    assert unread(conn) == b"head bo"


def test_a_rest_that_comes_bit_by_bit_is_not_waited_for_either(
    conn: TConn, theirs: socket.socket
) -> None:
    moments = itertools.count()

    def clock() -> float:
        theirs.sendall(b"x")
        return next(moments) * REST_SECONDS / 3

    theirs.sendall(b"head bo")
    request = WholeRequest(conn, Places(1), clock=clock)
    request.start(100)
    assert request.body(5, 1000) is None
    assert next(moments) == 6
    request.give_back()
    assert unread(conn) == b"head bo" + b"x" * 6


def test_a_client_that_ended_gives_no_more(conn: TConn, theirs: socket.socket) -> None:
    theirs.sendall(b"head bo")
    theirs.close()
    request = WholeRequest(conn, Places(1))
    request.start(100)
    assert request.body(5, 4) is None


def test_more_than_one_request_is_given_back(conn: TConn, theirs: socket.socket) -> None:
    theirs.sendall(b"head bodyhead")
    request = WholeRequest(conn, Places(1))
    request.start(100)
    assert request.body(5, 4) is None
    request.give_back()
    assert unread(conn) == b"head bodyhead"


def test_nothing_at_all_is_nothing(conn: TConn, theirs: socket.socket) -> None:
    request = WholeRequest(conn, Places(1))
    assert request.start(100) == b""
    request.give_back()
    theirs.sendall(b"head")
    assert conn.parser.unreader.read(4) == b"head"
