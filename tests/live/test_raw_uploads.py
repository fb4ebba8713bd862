"""Bodies that are the file itself, as real clients send them, and as broken ones do."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer, digest
from tests.live.wire import Wire, chunk, request_head
from tests.tools import require_tool

MIB = 1024**2
#: Every byte, with what old clients take for the end of a text.
CONTENT = bytes(range(256)) * 1000 + b"\r\n\0&=%"


def run(command: Sequence[str], place: Path, *, stdin: bytes = b"", expected: int = 0) -> bytes:
    """Run a client in ``place``; what it printed. Fails unless it ends as expected."""
    found = [require_tool(command[0]), *command[1:]]
    ended = subprocess.run(
        found, cwd=place, check=False, input=stdin, capture_output=True, timeout=60
    )
    assert ended.returncode == expected, (ended.stdout, ended.stderr)
    return ended.stdout


def assert_is_kept(server: LiveServer, answer: bytes, name: str, content: bytes) -> dict[str, Any]:
    receipt: dict[str, Any] = json.loads(answer)
    assert receipt["upload"]["filename"] == name
    assert receipt["upload"]["digests"]["sha256"] == digest(content)
    assert (server.archive / receipt["path"]["file"]).read_bytes() == content
    assert (server.archive / receipt["path"]["file"]).stat().st_mode & 0o777 == 0o444
    return receipt


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "results.xml").write_bytes(CONTENT)
    return tmp_path


class TestClients:
    @pytest.mark.parametrize(
        ("command", "name"),
        [
            ("curl -fsS -T results.xml {}/upload/", "results.xml"),
            ("curl -fsS -T results.xml {}/upload/f.bin", "f.bin"),
            ("curl -fsS -T - {}/upload/f.bin", "f.bin"),
            ("curl -fsS --data-binary @results.xml {}/upload/f.bin", "f.bin"),
            ("curl -fsS --data-binary @results.xml {}/upload?filename=f.bin", "f.bin"),
            ("curl -fsS -X PUT --data-binary @- {}/upload/f.bin", "f.bin"),
            ("curl -fsS -0 -T results.xml {}/upload/f.bin", "f.bin"),
            ("curl -fsS -F file=@results.xml {}/upload/", "results.xml"),
            ("curl -fsS -F file=@results.xml {}/upload", "results.xml"),
            ("wget -qO- --method=PUT --body-file=results.xml {}/upload/f.bin", "f.bin"),
            ("wget -qO- --post-file=results.xml {}/upload/f.bin", "f.bin"),
        ],
    )
    def test_curl_and_wget(self, server: LiveServer, place: Path, command: str, name: str) -> None:
        answer = run(command.format(server.url).split(), place, stdin=CONTENT)
        assert_is_kept(server, answer, name, CONTENT)

    def test_busybox_wget_sends_text(self, server: LiveServer, place: Path) -> None:
        text = b"<results>\n  <ok/>\n</results>\n"
        (place / "text.xml").write_bytes(text)
        line = f"wget -qO- --post-file=text.xml {server.url}/upload/text.xml"
        answer = run(["busybox", *line.split()], place)
        assert_is_kept(server, answer, "text.xml", text)

    def test_busybox_sh_evaluates_the_answer(self, server: LiveServer, place: Path) -> None:
        (place / "text.xml").write_bytes(b"<results/>")
        script = (
            'wget="busybox wget -qO-"\n'
            'eval "$($wget --post-file=text.xml --header "Accept: text/x-env" '
            '"$0/upload/a%20b;touch%20HACKED")"\n'
            '$wget "$BUCKET_URL"\n'
        )
        answer = run(["busybox", "sh", "-euc", script, server.url], place)
        assert answer == b"<results/>"
        assert not (place / "HACKED").exists()

    @pytest.mark.parametrize("name", ["results.xml", "日本 語.xml", "a/b/c.xml"])
    def test_requests(self, server: LiveServer, name: str) -> None:
        with requests.Session() as session:
            address = f"{server.url}/upload/{name}"
            sent = [
                session.put(address, data=CONTENT, timeout=30),
                session.post(address, data=CONTENT, timeout=30),
                session.put(address, data=iter([CONTENT[:9], CONTENT[9:]]), timeout=30),
            ]
            for answer in sent:
                receipt = assert_is_kept(server, answer.content, name.rpartition("/")[2], CONTENT)
                assert receipt["path"]["file"] == f"{receipt['path']['upload']}/{name}"
            form = session.post(
                f"{server.url}/upload", files={"file": ("f.xml", CONTENT)}, timeout=30
            )
            assert_is_kept(server, form.content, "f.xml", CONTENT)

    def test_requests_stores_without_sending(self, server: LiveServer) -> None:
        server.upload(CONTENT)
        fields = {"checksum": digest(CONTENT, "md5"), "filename": "again.xml"}
        with requests.post(f"{server.url}/upload", data=fields, timeout=30) as answer:
            assert_is_kept(server, answer.content, "again.xml", CONTENT)
        with requests.put(
            f"{server.url}/upload/deployed.xml",
            headers={"X-Checksum-Deploy": "true", "X-Checksum-Sha1": digest(CONTENT, "sha1")},
            timeout=30,
        ) as answer:
            # SHA-1 is not among the recorded digests here.
            assert (answer.status_code, answer.json()["problem"]) == (404, "blob-not-found")

    def test_a_shell_gets_one_line(self, server: LiveServer, place: Path) -> None:
        line = f"curl -fsS -H Accept:text/plain -T results.xml {server.url}/upload/a%20b/"
        address = run(line.split(), place).decode()
        assert address.endswith("/a%20b/results.xml\n")
        assert run(["curl", "-fsS", address.strip()], place) == CONTENT

    def test_curl_fails_where_nothing_is_kept(self, server: LiveServer, place: Path) -> None:
        for path in ("/upload", "//upload", "/upload//x", "/upload/a/../../x"):
            line = f"curl -fsS --path-as-is -T results.xml {server.url}{path}"
            run(line.split(), place, expected=22)

    def test_curl_says_which_line_is_right(self, server: LiveServer, place: Path) -> None:
        line = f"curl -sS -H Accept:text/plain -T results.xml {server.url}/upload"
        answer = run(line.split(), place).decode()
        assert f"curl -T results.xml {server.url}/upload/" in answer

    def test_a_retry_after_a_lost_answer_is_one_upload(
        self, server: LiveServer, place: Path
    ) -> None:
        line = f"curl -fsS -H Idempotency-Key:{place} -T results.xml {server.url}/upload/"
        first, again = (json.loads(run(line.split(), place)) for _ in range(2))
        assert again["upload"] == first["upload"]


@pytest.mark.parametrize("method", ["PUT", "POST"])
class TestBrokenBodies:
    def head(self, method: str, **fields: str) -> bytes:
        headers = {name.replace("_", "-"): text for name, text in fields.items()}
        return request_head(method, "/upload/broken.bin", headers)

    def test_five_of_a_thousand_bytes(self, server: LiveServer, method: str) -> None:
        content = f"five {method}".encode()
        with server.connect() as wire:
            wire.send(self.head(method, Content_Length="1000") + content)
            wire.end_sending()
            answer = wire.receive_answer()
        assert (answer.status, answer.problem) == (400, "incomplete-body")
        assert answer.json["detail"] == {"received": len(content), "content_length": 1000}
        assert_nothing_was_kept(server, content)

    def test_a_client_that_is_gone(self, server: LiveServer, method: str) -> None:
        content = f"gone {method}".encode() * 1000
        with server.connect() as wire:
            wire.send(self.head(method, Content_Length="1000000") + content)
        with server.connect() as wire:
            wire.send(self.head(method, Content_Length="1000000") + content)
            wire.reset()
        assert_next_upload_works(server)
        assert_nothing_was_kept(server, content)

    def test_a_broken_chunk(self, server: LiveServer, method: str) -> None:
        content = f"broken {method}".encode()
        with server.connect() as wire:
            wire.send(self.head(method, Transfer_Encoding="chunked") + chunk(content) + b"xyz\r\n")
            answer = wire.receive_answer()
        assert (answer.status, answer.problem) == (400, "malformed-body")
        assert_nothing_was_kept(server, content)

    def test_chunks_that_break_off(self, server: LiveServer, method: str) -> None:
        content = f"breaks off {method}".encode()
        for rest in (b"", b"5\r\nabc", b"0\r\n"):
            with server.connect() as wire:
                wire.send(self.head(method, Transfer_Encoding="chunked") + chunk(content) + rest)
                wire.end_sending()
                assert wire.receive_answer().status == 400
        assert_nothing_was_kept(server, content)

    def test_a_body_longer_than_it_says_is_cut_and_the_rest_is_a_bad_request(
        self, server: LiveServer, method: str
    ) -> None:
        with server.connect() as wire:
            wire.send(self.head(method, Content_Length="5") + b"fivexsurplus\r\n\r\n")
            answer = wire.receive_answer()
            assert answer.json["upload"]["size"] == 5
            assert wire.receive_answer().status == 400
            assert wire.is_closed_by_peer()

    @pytest.mark.parametrize(
        ("path", "headers", "status"),
        [
            ("/upload/x", {"X-Checksum-Sha256": "0" * 64}, 400),
            ("/upload/x", {"X-Checksum-Sha256": "WRONG"}, 400),
            ("/upload/x", {"Content-Encoding": "gzip"}, 415),
            ("/upload/x?format=xml", {}, 400),
            ("/upload/a/../x", {}, 400),
            ("/upload/", {}, 400),
            ("/upload", {"Content-Type": "text/plain"}, 400),
            ("/upload/x", {"X-Checksum-Deploy": "true", "X-Checksum-Sha256": "0" * 64}, 404),
        ],
    )
    def test_a_refusal_does_not_cost_the_next_request(
        self, server: LiveServer, method: str, path: str, headers: dict[str, str], status: int
    ) -> None:
        content = b"refused" * MIB
        with server.connect() as wire:
            wire.send_request(method, path, content, headers)
            assert wire.receive_answer().status == status
            assert_next_request_works(wire)
        assert_nothing_was_kept(server, content)


def test_a_length_over_the_limit_is_refused_before_the_body_comes(servers: ServerFactory) -> None:
    server = servers.start(MAX_CONTENT_LENGTH="1mb", WEB_CONCURRENCY="1")
    with server.connect() as wire:
        wire.send(request_head("PUT", "/upload/x", {"Content-Length": str(MIB + 1)}))
        assert wire.receive_answer().status == 413
        wire.send(bytes(MIB + 1))
        assert_next_request_works(wire)
    with server.connect() as wire:
        wire.send(request_head("PUT", "/upload/x", {"Transfer-Encoding": "chunked"}))
        wire.send(chunk(bytes(MIB)) + chunk(b"x") + chunk(b""))
        assert wire.receive_answer().status == 413
        assert_next_request_works(wire)
    server.wait_for_empty_staging()


def test_a_form_without_its_last_boundary_keeps_nothing_at_any_path(server: LiveServer) -> None:
    content = b"no boundary at the end"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + content
    for path in ("/upload/", "/upload/x"):
        answer = server.request("POST", path, body, kind)
        assert (answer.status, answer.problem) == (400, "malformed-body")
    assert_nothing_was_kept(server, content)


def test_a_digest_is_compared_with_bytes_that_came_in_chunks(server: LiveServer) -> None:
    content = b"in chunks" * 1000
    value = hashlib.sha256(content).hexdigest()
    with server.connect() as wire:
        fields = {"Transfer-Encoding": "chunked", "X-Checksum-Sha256": value}
        wire.send(request_head("PUT", "/upload/x", fields))
        wire.send(chunk(content[:7]) + chunk(content[7:]) + chunk(b""))
        assert wire.receive_answer().json["upload"]["digests"]["sha256"] == value


def test_the_same_body_twice_is_one_file_on_the_disk(server: LiveServer) -> None:
    content = b"twice" * MIB
    receipts = [server.request("PUT", f"/upload/{name}", content).json for name in ("one", "two")]
    files = [server.archive / receipt["path"]["file"] for receipt in receipts]
    blob = server.archive / receipts[0]["path"]["blob"]
    modified = {path.stat().st_mtime_ns for path in (*files, blob)}
    assert len({path.stat().st_ino for path in (*files, blob)}) == 1
    assert len(modified) == 1


def assert_nothing_was_kept(server: LiveServer, content: bytes) -> None:
    assert server.knows(digest(content)) == 404
    server.wait_for_empty_staging()


def assert_next_request_works(wire: Wire) -> None:
    wire.send_request("GET", "/ping")
    assert wire.receive_answer().body == b"pong\n"


def assert_next_upload_works(server: LiveServer) -> None:
    assert server.request("PUT", "/upload/next", b"next").status == 200


@pytest.mark.parametrize("edge", [64 * 1024, 256 * 1024, 500_000, MIB])
def test_a_body_of_any_size_arrives_whole(server: LiveServer, edge: int) -> None:
    for size in (edge - 1, edge, edge + 1):
        content = (CONTENT * (size // len(CONTENT) + 1))[:size]
        answer = server.request("PUT", f"/upload/{size}.bin", content)
        assert answer.json["upload"]["digests"]["sha256"] == digest(content)
