"""Uploads with and without the application around them: the same answers, and the same kept."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import builders
from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer
from tests.live.two_ways import HOST, Two, head, said, two_servers
from tests.live.wire import multipart

CONTENT = b"some content"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    alike = {
        **{"FSYNC": "off", "MAX_CONTENT_LENGTH": "40kb"},
        **{"REPLICATE_0": "user/${USERNAME}/${TOPIC}"},
    }
    with two_servers(tmp_path_factory.mktemp("two"), "FAST_UPLOAD", **alike) as two:
        yield two


def request(
    target: str,
    *fields: str,
    body: bytes = CONTENT,
    method: str = "PUT",
) -> bytes:
    return head(method, target, *fields, f"Content-Length: {len(body)}") + body


def form(*fields: str, content: bytes = CONTENT, filename: str = "results.xml") -> bytes:
    body, kind = multipart(content, filename)
    return request("/upload", HOST, f"Content-Type: {kind}", *fields, body=body, method="POST")


# What no two uploads have in common: moments, numbers of chance, and lengths that follow.
_OWN = [
    (rb"\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{16}", b"ID"),
    (rb"\d{4}/\d\d/\d\d/ID", b"DAY/ID"),
    (rb"\.\d{8}\.\d{4}\.\d+", b".REPLICA"),
    (rb"/undo/[\w.-]+", b"/undo/TOKEN"),
    (rb"127\.0\.0\.1:\d+", b"HOST"),
    (rb"Content-Length: \d+", b"Content-Length:"),
    (rb'"(received|expires)": "[^"]*"', rb'"\1":'),
]


def anonymous(text: bytes) -> bytes:
    for pattern, instead in _OWN:
        text = re.sub(pattern, instead, text)
    return text


def records(server: LiveServer) -> list[bytes]:
    """What the store says of all its uploads, in the order in which they came."""
    every = sorted((server.archive / "archive").rglob(".upload.json"))
    return [anonymous(path.read_bytes()) for path in every]


FILES = [b"x", CONTENT, b"<testsuite/>", bytes(30_000)]
ARCHIVE_FILES = [
    builders.tar(builders.tar_member("a/b.txt", b"member")),
    gzip.compress(builders.tar(builders.tar_member("../b.txt", b"member")), mtime=0),
    gzip.compress(b"inside", mtime=0),
    builders.zip_file(builders.ZipEntry("a/b.txt", b"member")),
]
FIELDS = [
    "User-Agent: curl/7.88.1",
    "Accept: */*",
    "Accept: text/html",
    "Accept: text/plain",
    "Accept: application/json",
    "Accept-Encoding: gzip",
    "Connection: keep-alive",
    "Connection: close",
    "Content-Type: text/xml",
    "Content-Type: multipart/form-data; boundary=x",
    "Content-Type: application/x-www-form-urlencoded",
    "Content-Encoding: gzip",
    "Content-MD5: AAAA",
    "Expect: bogus",
    "Transfer-Encoding: gzip",
    "X-Checksum-Sha256: " + "0" * 64,
    "Unpack: no",
    "Unpack: perhaps",
    "Tree: a",
    "Retention-Days: 3",
    "Retention-Days: x",
    "Idempotency-Key: \x01",
    "Username: bob",
    "Topic: demo",
    "Topic: .. /",
    "Username: caf\xe9",
    "Result: pass",
    "Result: perhaps",
    "Meta-Build: 7",
    "Meta-Build:",
    "Origin: http://evil.example",
    "Cookie: a=b",
    "X-Forwarded-Proto: https",
    "X-Checksum-Deploy: true",
    "Host: again.example",
    "no colon",
]
TARGETS = [
    "/upload/results.xml",
    "/upload/results.tar.gz",
    "/upload/a",
    "/upload/-",
    "/upload/" + "a" * 149,
    "/upload/" + "a" * 200,
    "/upload/.hidden",
    "/upload/a%20b",
    "/upload/a/b.xml",
    "/upload/../b.xml",
    "/upload/a?unpack=no",
    "/upload/a?format=url",
    "/upload/",
    "/upload",
    "//upload/a",
]


def assert_alike(two: Two, *pieces: bytes) -> None:
    before = [len(records(server)) for server in two]
    quick, usual = (anonymous(said(server, *pieces)) for server in two)
    assert quick == usual
    quick_records, usual_records = (
        records(server)[count:] for server, count in zip(two, before, strict=True)
    )
    # Two that came within a millisecond lie in either order.
    assert sorted(quick_records) == sorted(usual_records)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_every_target_has_one_answer(two: Two, target: str, method: str) -> None:
    assert_alike(two, request(target, HOST, method=method))


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_has_one_answer(two: Two, field: str) -> None:
    assert_alike(two, request("/upload/a.xml", HOST, field))
    assert_alike(two, form(field))


HOSTS = [
    *("a", "a.", "-", "127.0.0.1:5000", "[::1]", "[::1]:5000", "A.example", "x:1", "x:080"),
    *("x:80", "x:443", "x:0", "x:65535", "x:65536", "x:99999", "x:", ":80", "a_b", "a b", "a,b"),
    *("", ".", ".a", "a..b", "a..", "a" * 63, "a" * 64, f"{'a' * 64}.b", ".".join(["a" * 63] * 6)),
]


@pytest.mark.parametrize("host", HOSTS)
def test_every_host_has_one_answer(two: Two, host: str) -> None:
    assert_alike(two, request("/upload/a.xml", f"Host: {host}"))


@pytest.mark.parametrize("body", FILES + ARCHIVE_FILES)
def test_every_content_is_kept_alike(two: Two, body: bytes) -> None:
    fields = [HOST, "Username: bob", "Topic: demo"]
    # Nothing is unpacked for a client that has closed.
    last = f"GET /ping HTTP/1.1\r\n{HOST}\r\nConnection: close\r\n\r\n".encode()
    assert_alike(two, request("/upload/a.bin", *fields, body=body), last)
    assert_alike(two, form(*fields[1:], content=body), last)


@pytest.mark.parametrize("size", [0, 40 * 1024, 40 * 1024 + 1, 70_000])
def test_every_size_has_one_answer(two: Two, size: int) -> None:
    assert_alike(two, request("/upload/a.bin", HOST, body=bytes(size)))
    assert_alike(two, form(content=bytes(size)))


@pytest.mark.parametrize("name", ["a b.xml", ".xml", "d/a.xml", "caf\xe9.xml", "", "a" * 200])
def test_every_name_in_a_form_has_one_answer(two: Two, name: str) -> None:
    assert_alike(two, form(filename=name))


requests = st.builds(
    lambda target, first, fields, body, method: request(
        target, *first, *fields, body=body, method=method
    ),
    st.sampled_from(TARGETS),
    st.sampled_from([[HOST], [HOST], [HOST], []]),
    st.lists(st.sampled_from(FIELDS), max_size=3),
    st.sampled_from(FILES),
    st.sampled_from(["PUT", "PUT", "PUT", "POST"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(requests, min_size=1, max_size=3), st.integers(0, 200))
def test_requests_behind_each_other_and_cut_off_have_one_answer(
    two: Two, several: list[bytes], cut: int
) -> None:
    stream = b"".join(several)
    assert_alike(two, stream[: len(stream) - cut] if cut < 100 else stream)


def test_a_connection_is_kept_whichever_way_its_requests_go(two: Two) -> None:
    assert_alike(
        two,
        request("/upload/a.xml", HOST),
        form(),
        request("/upload/b%20c.xml", HOST),
        request("/upload/c.xml", HOST, body=bytes(30_000)),
        request("/upload/d.xml", HOST, "Unpack: perhaps"),
        request("/upload/e.xml", HOST, "Connection: close"),
    )


@pytest.mark.parametrize("cut", [5, 60, 100])
def test_a_request_that_comes_in_two_pieces_is_answered(two: Two, cut: int) -> None:
    whole = request("/upload/a.xml", HOST, "User-Agent: test", "Accept: */*")
    for server in two:
        with server.connect() as wire:
            wire.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.send(whole[:cut])
            # An answer on another connection: what came before it was looked at.
            assert server.knows("0" * 32) == 404
            wire.send(whole[cut:])
            assert wire.receive_answer("PUT").status == 200


def test_a_question_and_an_upload_in_turn_are_answered(two: Two) -> None:
    for server in two:
        with server.connect() as wire:
            for number in range(5):
                wire.send(request(f"/upload/{number}.txt", HOST, body=b"%d" % number))
                receipt = wire.receive_answer("PUT").json
                question = f"HEAD /checksum/{receipt['checksum']['blob']} HTTP/1.1"
                wire.send(f"{question}\r\n{HOST}\r\n\r\n".encode())
                assert wire.receive_answer("HEAD").status == 200


def test_the_log_says_why_uploads_go_the_usual_way(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="1", REPLICATE_0="kind/${UNPACK}")
    assert said(server, request("/upload/a.xml", HOST, "Unpack: false")).startswith(b"HTTP/1.1 200")
    assert "Every upload goes through the application: templates name unpack." in server.log
    assert [*Path(server.archive / "replica/kind").iterdir()] != []


def test_who_may_not_upload_is_refused(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="1", ANONYMOUS="read")
    answer = said(server, request("/upload/a.xml", HOST))
    assert answer.startswith(b"HTTP/1.1 403")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["problem"] == "not-allowed"
