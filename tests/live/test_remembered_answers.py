"""Downloads that are asked for again: the same bytes from a real server, remembered or not."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from httpbucket.storage.local.settled import SETTLED_SECONDS
from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer, digest, wait_until
from tests.live.two_ways import HOST, Two, head, said, two_servers

CONTENT = b"content " * 100
LARGE = bytes(100_000)


def settle() -> None:
    """Return when what changed until now is remembered."""
    began = time.time()
    wait_until(
        lambda: time.time() > began + SETTLED_SECONDS + 0.1, seconds=30, what="the store settles"
    )


def put(server: LiveServer, content: bytes, name: str = "results.txt") -> dict[str, Any]:
    with server.connect() as wire:
        fields = [HOST, f"Content-Length: {len(content)}", "Username: bob", "Topic: demo"]
        wire.send(head("PUT", f"/upload/{name}", *fields) + content)
        answer = wire.receive_answer("PUT")
        assert answer.status in {200, 201}, answer.body
        receipt: dict[str, Any] = json.loads(answer.body)
        return receipt


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """With one store."""
    directory = tmp_path_factory.mktemp("two")
    alike = {
        **{"THREADS": "2", "ARCHIVE_DIR": str(directory / "store")},
        **{"REPLICATE_0": "user/${USERNAME}/${TOPIC}"},
    }
    with two_servers(directory, "FAST_GET", **alike) as two:
        yield two


@pytest.fixture(scope="module")
def receipt(two: Two) -> dict[str, Any]:
    """Of `CONTENT`, which is there as `LARGE` is, and has settled."""
    receipt = put(two.quick, CONTENT)
    put(two.quick, LARGE, "large.bin")
    settle()
    return receipt


def assert_alike(two: Two, request: bytes) -> None:
    """Also when it is asked again and again."""
    quick, usual = ([said(server, request) for _ in range(3)] for server in two)
    assert quick == usual, request


def has_way(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


BLOB = f"/blob/{digest(CONTENT)}"
ETAG = f'"{digest(CONTENT)}"'
FIELDS = [
    "Accept: */*",
    "Accept: text/html",
    "Accept-Encoding: gzip",
    f"If-None-Match: {ETAG}",
    'If-None-Match: "other"',
    f"If-Match: {ETAG}",
    'If-Match: "other"',
    "If-Modified-Since: Fri, 31 Dec 2099 00:00:00 GMT",
    "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
    "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
    "Range: bytes=0-99",
    "Range: bytes=-5",
    "Range: bytes=900-",
    "Range: bytes=0-1,3-4",
    "Range: lines=1-2",
    "Connection: keep-alive",
    "Connection: close",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: other.example",
    "Sec-Fetch-Site: cross-site",
    "Cookie: a=b",
    "Authorization: Basic eDp5",
    "Origin: http://evil.example",
    "Content-Length: 0",
    "Transfer-Encoding: chunked",
    "Host: again.example",
    "no colon",
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("field", FIELDS)
def test_every_field_has_one_answer(
    two: Two, receipt: dict[str, Any], method: str, field: str
) -> None:
    for target in (BLOB, f"/{receipt['path']['blob']}"):
        assert_alike(two, head(method, target, HOST, field))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "DELETE"])
def test_every_target_has_one_answer(two: Two, receipt: dict[str, Any], method: str) -> None:
    path = receipt["path"]
    (replica,) = path["replicas"]
    replica = f"/{replica}"
    latest = re.sub(r"[0-9]{8}[.][0-9]{4}[.][0-9]+", "latest", replica)
    targets = [
        *(BLOB, f"{BLOB}?x", f"{BLOB}/", f"{BLOB}#x", f"/{BLOB}", BLOB.upper()),
        *(f"/blob/{digest(CONTENT, 'md5')}", "/blob/" + "0" * 64, "/blob/x"),
        *(f"/{path['blob']}", f"/{path['upload']}/results.txt", f"/{path['upload']}/results%2Etxt"),
        *(f"/{path['upload']}", f"/{path['upload']}/.upload.json", f"/{path['upload']}/SHA256SUMS"),
        *(replica, latest, "/replica/user/bob/demo/?json", "/archive/..%2f..%2fetc/passwd"),
        *(f"/blob/{digest(LARGE)}", f"/{path['upload']}/results.txt?view"),
    ]
    for target in targets:
        assert_alike(two, head(method, target, HOST))


@pytest.mark.usefixtures("receipt")
def test_ways_change_on_one_connection(two: Two) -> None:
    pieces = [
        head("GET", BLOB, HOST),
        head("GET", BLOB, HOST, "Cookie: a=b"),
        head("HEAD", BLOB, HOST),
        head("GET", f"/blob/{digest(LARGE)}", HOST),
        head("HEAD", f"/checksum/{digest(CONTENT)}", HOST),
        head("GET", BLOB, HOST),
    ] * 2
    for server in (two.quick, two.usual):
        with server.connect() as wire:
            lengths = []
            for piece in pieces:
                wire.send(piece)
                method = piece.split(b" ")[0].decode()
                answer = wire.receive_answer(method)
                lengths.append((answer.status, len(answer.body)))
        expected = [(200, 800), (200, 800), (200, 0), (200, 100_000), (200, 0), (200, 800)]
        assert lengths == expected * 2


@pytest.mark.usefixtures("receipt")
def test_many_on_one_another_are_answered_in_turn(two: Two) -> None:
    assert_alike(two, head("GET", BLOB, HOST) * 3 + head("GET", BLOB, HOST, "Range: bytes=0-9") * 2)


def test_what_was_asked_before_needs_no_thread(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="1", THREADS="1", MAX_CONTENT_LENGTH="64mb")
    if not has_way(server.archive / "bucket-layout"):
        pytest.skip("the file system cannot read without waiting")
    large, small = put(server, bytes(40 * 1024**2), "large.bin"), put(server, CONTENT)
    settle()
    target = f"/{small['path']['upload']}/results.txt"
    with server.connect() as reader, server.connect() as wire:
        wire.send(head("GET", target, HOST))
        assert wire.receive_answer("GET").body == CONTENT
        reader.send(head("GET", f"/{large['path']['blob']}", HOST))
        # Its only thread is busy with a client that reads nothing; this one comes past it.
        wire.send(head("GET", target, HOST))
        assert wire.receive_answer("GET").body == CONTENT


def status_of(server: LiveServer, target: str, *fields: str) -> int:
    with server.connect() as wire:
        wire.send(head("GET", target, HOST, *fields))
        return wire.receive_answer("GET").status


def test_what_is_deleted_is_gone_at_once(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="1", ANONYMOUS="read upload delete")
    receipt = put(server, CONTENT)
    settle()
    upload = receipt["path"]["upload"]
    targets = [BLOB, f"/{receipt['path']['blob']}", f"/{upload}/results.txt"]
    for target in targets * 2:
        assert status_of(server, target) == 200
        assert status_of(server, target, f"If-None-Match: {ETAG}") == 304
    with server.connect() as wire:
        wire.send(head("DELETE", f"/uploads/{receipt['upload']['id']}", HOST))
        assert wire.receive_answer("DELETE").status in {200, 204}
    for target in targets:
        assert status_of(server, target) == 404
        assert status_of(server, target, f"If-None-Match: {ETAG}") == 404


def test_latest_moves_on_at_once(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="1", REPLICATE_0="user/${USERNAME}/${TOPIC}")
    put(server, b"first")
    settle()
    target = "/replica/user/bob/demo/results.latest.txt"
    with server.connect() as wire:
        bodies: list[bytes] = []
        for content in (b"first", b"second", b"first"):
            if bodies:
                put(server, content)
            for _ in range(3):
                wire.send(head("GET", target, HOST))
                bodies.append(wire.receive_answer("GET").body)
    assert bodies == [b"first"] * 3 + [b"second"] * 3 + [b"first"] * 3


def test_a_drop_box_shows_nothing(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="1", ANONYMOUS="upload")
    server.upload(CONTENT)
    settle()
    assert [status_of(server, BLOB) for _ in range(3)] == [403] * 3


def test_the_log_says_why_downloads_go_the_usual_way(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="1", GUNICORN_CMD_ARGS="--access-logfile -")
    assert "Every download is answered by the application: gunicorn logs" in server.log
