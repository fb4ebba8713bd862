"""Reading past gunicorn's buffers gives what gunicorn gives, and leaves what it leaves."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import RequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from httpbucket.server import tested_gunicorn
from httpbucket.server.gunicorn_input import PacedInput, can_be_paced
from httpbucket.server.incoming import Incoming, Patience
from httpbucket.server.places import Places

NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"


def request(body: bytes, *, chunks: int = 0) -> bytes:
    head = b"PUT / HTTP/1.1\r\nHost: x\r\n"
    if not chunks:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    pieces = [body[start : start + chunks] for start in range(0, len(body), chunks)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + framed


@contextmanager
def received(stream: bytes) -> Iterator[tuple[RequestParser, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        theirs.sendall(stream)
        theirs.shutdown(socket.SHUT_WR)
        yield RequestParser(Config(), ours, ("127.0.0.1", 1)), ours


def paced(parser: RequestParser, connection: socket.socket, *, straight: bool) -> PacedInput:
    body = next(parser).body
    assert can_be_paced(body, connection)
    incoming = Incoming(connection, Patience(seconds=10), Places(1))
    return PacedInput(body, incoming, straight=straight)


def calls(stream: Any, reads: list[tuple[str, int]]) -> list[bytes]:
    said = [getattr(stream, name)(size) for name, size in reads]
    return [*said, *iter(lambda: stream.read(7), b"")]


reads = st.lists(
    st.tuples(st.sampled_from(["read", "readline"]), st.integers(0, 100_000)), max_size=5
)
bodies = st.one_of(
    st.binary(min_size=1, max_size=200),
    st.builds(lambda piece, times: piece * times, st.binary(min_size=1), st.integers(1, 9000)),
)


@settings(max_examples=100, deadline=None)
@given(bodies, st.sampled_from([0, 0, 5, 10_000]), reads, st.booleans())
def test_it_reads_what_gunicorn_reads_and_leaves_the_next_request(
    body: bytes, chunks: int, reads: list[tuple[str, int]], straight: bool
) -> None:
    body = body[:100_000]
    stream = request(body, chunks=chunks) + NEXT
    with received(stream) as (parser, _):
        expected = b"".join(calls(next(parser).body, reads))
    with received(stream) as (parser, connection):
        one = paced(parser, connection, straight=straight)
        assert b"".join(calls(one.stream, reads)) == expected == body
        one.end(is_whole=True)
        assert parser.unreader.sock is connection
        assert next(parser).path == "/next"


@pytest.mark.parametrize("straight", [True, False])
@pytest.mark.parametrize("size", [1, 100, 20_000, 100_000])
def test_a_body_that_ends_early_ends_early(straight: bool, size: int) -> None:
    with received(request(bytes(100_001))[:-1][: -(100_000 - size) or None]) as (
        parser,
        connection,
    ):
        one = paced(parser, connection, straight=straight)
        assert one.stream.read() == bytes(size)


@pytest.mark.parametrize("straight", [True, False])
@pytest.mark.parametrize("chunks", [0, 5000])
def test_gunicorn_does_not_read_on_in_a_body_that_failed(straight: bool, chunks: int) -> None:
    with received(request(bytes(50_000), chunks=chunks) + NEXT) as (parser, connection):
        one = paced(parser, connection, straight=straight)
        one.stream.read(10)
        one.end(is_whole=False)
        assert parser.finish_body(deadline=0) is False
        with pytest.raises(StopIteration):
            next(parser)


def test_another_gunicorn_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with received(request(b"12345")) as (parser, connection):
        body = next(parser).body
        assert can_be_paced(body, connection)
        assert not can_be_paced(object(), connection)
        assert not can_be_paced(body, object())
        monkeypatch.setattr(tested_gunicorn, "TESTED_VERSIONS", frozenset({"1.0"}))
        assert not can_be_paced(body, connection)
