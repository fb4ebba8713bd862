"""Clients that send slowly, or no more: they end with 408, and stop nobody else until then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer, digest, wait_until
from tests.live.wire import Answer, Wire, chunk, multipart, request_head, upload_halves

#: Twice as many as the shipped configuration has places, in two workers with sixteen each.
MANY = 64

#: Both ways of reading a body.
both = pytest.mark.parametrize("fast", ["on", "off"])


@contextmanager
def stalled(server: LiveServer, count: int, *, bytes_sent: int = 200_000) -> Iterator[list[Wire]]:
    """So many uploads that stop in the middle."""
    start, _ = upload_halves(bytes(2 * bytes_sent))
    with ExitStack() as stack:
        wires = [stack.enter_context(server.connect(seconds=60)) for _ in range(count)]
        for wire in wires:
            wire.send(start)
        wait_until(lambda: receiving(server) == count, seconds=30, what="all are being received")
        yield wires


def receiving(server: LiveServer) -> int:
    return sum("/private/staging/" in target for target in server.open_files())


def ask(server: LiveServer, method: str, path: str, *, keep: bool = False) -> Answer:
    """Within a guard: time-outs of stalled ones would take longer by far."""
    with server.connect(seconds=20) as wire:
        wire.send_request(method, path, headers={} if keep else {"Connection": "close"})
        return wire.receive_answer(method)


def dripped(
    server: LiveServer, *, piece: bytes, seconds: float, least: float, is_chunked: bool = False
) -> tuple[Answer, float]:
    """The answer to an upload that goes on for so long, or as long as it may, and the time."""
    content = piece * round(least / seconds)
    body, kind = multipart(content)
    start, rest = body[: -len(content) - 30], body[-len(content) - 30 :]
    length = {"Transfer-Encoding": "chunked"} if is_chunked else {"Content-Length": str(len(body))}
    framed = chunk if is_chunked else bytes
    with server.connect() as wire:
        wire.connection.settimeout(seconds)
        wire.send(request_head("POST", "/upload", {"Content-Type": kind, **length}))
        wire.send(framed(start))
        began = time.monotonic()
        for position in range(0, len(rest), len(piece)):
            try:
                if wire.connection.recv(1, 0x2):
                    break
            except TimeoutError:
                wire.send(framed(rest[position : position + len(piece)]))
        else:
            wire.send(chunk(b"") if is_chunked else b"")
        took = time.monotonic() - began
        wire.connection.settimeout(30)
        return wire.receive_answer(), took


@both
def test_stalled_uploads_leave_the_shipped_server_working(
    servers: ServerFactory, fast: str
) -> None:
    server = servers.start(FAST_BODIES=fast)
    content = b"what others send"
    with stalled(server, MANY) as wires:
        server.upload(content)
        for keep in (True, False):
            for known in (digest(content), digest(content, "md5")):
                assert ask(server, "HEAD", f"/checksum/{known}", keep=keep).status == 200
            assert ask(server, "HEAD", "/checksum/" + "0" * 64, keep=keep).status == 404
        assert ask(server, "GET", "/").status == 200
        # Each of them may still go on.
        _, rest = upload_halves(bytes(400_000))
        for wire in wires:
            wire.send(rest)
        assert [wire.receive_answer().status for wire in wires] == [200] * MANY
    server.wait_for_empty_staging()


@both
def test_stalled_uploads_end_with_408(servers: ServerFactory, fast: str) -> None:
    server = servers.start(WEB_CONCURRENCY="1", BODY_IDLE_SECONDS="2", FAST_BODIES=fast)
    with stalled(server, 20) as wires:
        answers = [wire.receive_answer() for wire in wires]
        assert {(answer.status, answer.problem) for answer in answers} == {(408, "slow-body")}
        assert {answer.headers["Connection"] for answer in answers} == {"close"}
        assert all(wire.is_closed_by_peer() for wire in wires)
    server.wait_for_empty_staging()


@both
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_dripping_upload_ends_with_408(
    servers: ServerFactory, fast: str, is_chunked: bool
) -> None:
    server = servers.start(
        WEB_CONCURRENCY="1", BODY_IDLE_SECONDS="2", BODY_MIN_RATE="100", FAST_BODIES=fast
    )
    answer, _ = dripped(server, piece=b"x", seconds=0.1, least=30, is_chunked=is_chunked)
    assert (answer.status, answer.problem) == (408, "slow-body")
    server.wait_for_empty_staging()


@both
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_slow_upload_that_lives_is_kept(
    servers: ServerFactory, fast: str, is_chunked: bool
) -> None:
    server = servers.start(
        WEB_CONCURRENCY="1", BODY_IDLE_SECONDS="1", BODY_MIN_RATE="100", FAST_BODIES=fast
    )
    answer, took = dripped(server, piece=bytes(200), seconds=0.1, least=3, is_chunked=is_chunked)
    assert answer.status == 200
    assert took > 2


def test_more_stalled_uploads_than_places_end_one_after_the_other(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="1", THREADS="1")
    with stalled(server, 8) as wires:
        _, rest = upload_halves(bytes(400_000))
        for wire in wires:
            wire.send(rest)
        assert [wire.receive_answer().status for wire in wires] == [200] * 8
        assert ask(server, "GET", "/ping").status == 200


def test_as_many_uploads_as_places_stay_within_the_memory_promised(
    servers: ServerFactory,
) -> None:
    server = servers.start(WEB_CONCURRENCY="1")
    server.upload(b"first")
    idle = peak_memory(server)
    with ThreadPoolExecutor(16) as pool:
        contents = [bytes([number]) * (16 * 1024**2) for number in range(16)]
        assert len(list(pool.map(server.upload, contents))) == 16
    assert peak_memory(server) - idle < 64 * 1024


def peak_memory(server: LiveServer) -> int:
    """The most that the worker has had, in KiB."""
    (pid,) = server.workers()
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@both
def test_the_connection_is_good_for_more_after_a_body(servers: ServerFactory, fast: str) -> None:
    server = servers.start(WEB_CONCURRENCY="1", FAST_BODIES=fast)
    contents = [bytes([number]) * size for number, size in enumerate([1, 9000, 300_000, 10])]
    requests = []
    for content in contents:
        body, kind = multipart(content)
        headers = {"Content-Type": kind, "Content-Length": str(len(body))}
        requests.append(request_head("POST", "/upload", headers) + body)
    with server.connect() as wire:
        # One after the other, and then all at once.
        for one in requests:
            wire.send(one)
            assert wire.receive_answer().status == 200
        wire.send(b"".join(requests))
        for content in contents:
            answer = wire.receive_answer()
            assert answer.json["upload"]["digests"]["sha256"] == digest(content)
