"""HEAD of a checksum with and without a thread of its own: the same bytes from a real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.live.conftest import ServerFactory
from tests.live.server import digest, wait_until
from tests.live.two_ways import HOST, Two, head, said, two_servers

CONTENT = b"content"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_servers(tmp_path_factory.mktemp("two"), "FAST_HEAD") as two:
        for server in two:
            server.upload(CONTENT)
        yield two


KNOWN = f"/checksum/{digest(CONTENT)}"
UNKNOWN = "/checksum/" + "0" * 32
TARGETS = [
    KNOWN,
    UNKNOWN,
    f"/checksum/{digest(CONTENT, 'md5')}",
    f"/checksum/MD5:{digest(CONTENT, 'md5').upper()}",
    f"/checksum/sha512:{digest(CONTENT, 'sha512')}",
    f"/checksum/SHA-256:{digest(CONTENT)}",
    "/checksum/sha3_256:" + "0" * 64,
    "/checksum/x",
    "/checksum/nosuch:00",
    "/checksum/" + "0" * 300,
    "/checksum/",
    "/checksum/%30" + "0" * 31,
    f"{KNOWN}?x=y",
    f"{KNOWN}/",
    f"/{KNOWN}",
    f"http://bucket.example{KNOWN}",
    "/ping",
]
FIELDS = [
    "User-Agent: curl/7.88.1",
    "Accept: */*",
    "accept: text/html",
    "Accept-Encoding: gzip, deflate",
    "Connection: keep-alive",
    "Connection: close",
    "Connection: Keep-Alive, Upgrade",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Proto: http",
    "X-Forwarded-For: 10.0.0.1",
    "If-None-Match: *",
    "Range: bytes=0-",
    "Authorization: Basic eDp5",
    "Cookie: a=b",
    "Origin: http://evil.example",
    "Expect: 100-continue",
    "Expect: bogus",
    "Content-Length: 0",
    "Content-Length: x",
    "Transfer-Encoding: chunked",
    "Upgrade: websocket",
    "SCRIPT_NAME: /checksum",
    "Host: again.example",
    "Host: a..b",
    "Host: b\xe4d host",
    "Bad Name: x",
    "Accept: control\x01",
    " folded: line",
    "no colon",
]


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_one_answer(two: Two, target: str) -> None:
    request = head("HEAD", target, HOST)
    assert said(two.quick, request) == said(two.usual, request)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("target", [KNOWN, UNKNOWN])
def test_every_field_has_one_answer(two: Two, target: str, field: str) -> None:
    request = head("HEAD", target, HOST, field)
    assert said(two.quick, request) == said(two.usual, request)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "2.0"])
@pytest.mark.parametrize("method", ["HEAD", "GET", "OPTIONS", "head", "POST"])
@pytest.mark.parametrize("fields", [[], [HOST]])
def test_every_first_line_has_one_answer(
    two: Two, version: str, method: str, fields: list[str]
) -> None:
    request = head(method, UNKNOWN, *fields, version=version)
    assert said(two.quick, request) == said(two.usual, request)


requests = st.builds(
    lambda target, first, fields, version, method: head(
        method, target, *first, *fields, version=version
    ),
    st.sampled_from(TARGETS),
    st.sampled_from([[HOST], [HOST], [HOST], []]),
    st.lists(st.sampled_from(FIELDS), max_size=3),
    st.sampled_from(["1.1", "1.1", "1.1", "1.0"]),
    st.sampled_from(["HEAD", "HEAD", "HEAD", "GET"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(requests, min_size=1, max_size=3), st.integers(0, 200))
def test_requests_behind_each_other_and_cut_off_have_one_answer(
    two: Two, several: list[bytes], cut: int
) -> None:
    stream = b"".join(several)
    stream = stream[: len(stream) - cut] if cut < 100 else stream
    assert said(two.quick, stream) == said(two.usual, stream)


def test_a_connection_is_kept_whichever_way_its_requests_go(two: Two) -> None:
    pieces = [
        head("HEAD", KNOWN, HOST),
        head("HEAD", UNKNOWN, HOST),
        head("HEAD", KNOWN, HOST, "Cookie: a=b"),
        head("HEAD", KNOWN, HOST),
        head("HEAD", "/checksum/x", HOST),
        head("HEAD", UNKNOWN, HOST, "Connection: close"),
    ]
    assert said(two.quick, *pieces) == said(two.usual, *pieces)


def test_a_request_that_comes_in_two_pieces_is_answered(two: Two) -> None:
    request = head("HEAD", KNOWN, HOST)
    for server in two:
        with server.connect() as wire:
            for piece in (request[:20], request[20:]):
                wire.send(piece)
            assert wire.receive_answer("HEAD").status == 200


def test_whatever_was_acknowledged_is_known_to_every_later_question(
    servers: ServerFactory,
) -> None:
    server = servers.start(FSYNC="off", WEB_CONCURRENCY="2", ANONYMOUS="read,upload,delete")
    with ExitStack() as stack:
        wires = [stack.enter_context(server.connect()) for _ in range(12)]

        def statuses(target: str) -> set[int]:
            """What all are answered, who ask at once, each beside somebody who asks otherwise."""
            for number, wire in enumerate(wires):
                wire.send(head("HEAD", UNKNOWN if number % 3 == 2 else target, HOST))
            answers = [wire.receive_answer("HEAD").status for wire in wires]
            assert {answers.pop(number) for number in (11, 8, 5, 2)} == {404}
            return set(answers)

        for number in range(25):
            content = b"content %d" % number
            target = f"/checksum/{digest(content)}"
            assert statuses(target) == {404}
            upload = server.upload(content)["path"]["upload"]
            assert statuses(target) == {200}
            assert server.request("DELETE", f"/{upload}").status == 200
            assert statuses(target) == {404}


def test_a_drop_box_tells_nobody_what_it_holds(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="1", ANONYMOUS="upload")
    server.upload(CONTENT)
    with server.connect() as wire:
        for fields in ([], ["Cookie: a=b"]):
            for target in (KNOWN, UNKNOWN):
                wire.send(head("HEAD", target, HOST, *fields))
                assert wire.receive_answer("HEAD").status == 403


def test_a_question_needs_no_thread(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="1", THREADS="1", MAX_CONTENT_LENGTH="64mb")
    receipt = server.upload(bytes(40 * 1024**2))
    with server.connect() as reader, server.connect() as wire:
        reader.send(head("GET", f"/{receipt['path']['blob']}", HOST))
        # Its only thread is busy with a client that reads nothing; the question comes past it.
        wire.send(head("HEAD", f"/checksum/{receipt['upload']['digests']['md5']}", HOST))
        assert wire.receive_answer("HEAD").status == 200


def test_the_log_says_why_questions_go_the_usual_way(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="1", GUNICORN_CMD_ARGS="--access-logfile -")
    assert server.knows("0" * 32) == 404
    assert "Every HEAD is answered by the application: gunicorn logs every request." in server.log
    # gunicorn logs a request after it was answered.
    wait_until(lambda: f"HEAD {UNKNOWN} HTTP/1.1" in server.log, seconds=10, what="it is logged")


def test_the_number_of_requests_of_a_worker_counts_them(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="1", GUNICORN_CMD_ARGS="--max-requests 5")
    with server.connect() as wire:
        connections = []
        while "close" not in connections:
            wire.send(head("HEAD", UNKNOWN, HOST))
            connections.append(wire.receive_answer("HEAD").headers["Connection"])
        assert wire.is_closed_by_peer()
    # The start asked /ping once or more.
    assert len(connections) < 5
