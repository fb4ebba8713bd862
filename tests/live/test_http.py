"""What the server answers to requests that are broken, slow, early, large or many."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer, digest
from tests.live.wire import Answer, Wire, chunk, multipart, multipart_frame, request_head

#: What the body of `_upload_head` is framed by.
START, END = multipart_frame()
KIND = multipart(b"")[1]

#: A known digest is none of these tests' business.
UNKNOWN = digest(b"nobody ever uploads this")

UPLOAD = "/uploads/20261121T143205.812Z-9f3c1a77d0e4b256"
ROUTES = [
    "/",
    "/config",
    "/ping",
    "/upload",
    f"/checksum/{UNKNOWN}",
    f"/blob/{UNKNOWN}",
    f"/blob/{UNKNOWN[:2]}/{UNKNOWN[2:4]}/{UNKNOWN}",
    UPLOAD,
    "/static/style.css",
    "/nowhere",
]


def upload_head(**fields: str) -> bytes:
    headers = {name.replace("_", "-"): text for name, text in fields.items()}
    return request_head("POST", "/upload", {"Content-Type": KIND} | headers)


@pytest.fixture
def wire(server: LiveServer) -> Iterator[Wire]:
    with server.connect() as wire:
        yield wire


@pytest.fixture(scope="module")
def impatient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    directory = tmp_path_factory.mktemp("impatient")
    with LiveServer(
        directory, BODY_IDLE_SECONDS="1", BODY_MIN_RATE="10", MAX_CONTENT_LENGTH="4mb"
    ) as server:
        yield server


def assert_nothing_was_kept(server: LiveServer, content: bytes) -> None:
    assert server.knows(digest(content)) == 404
    server.wait_for_empty_staging()


def assert_still_works(server: LiveServer) -> None:
    content = f"the next upload at {time.monotonic_ns()}".encode()
    server.upload(content)
    assert server.knows(digest(content)) == 200


class TestBrokenBodies:
    def test_a_client_that_closes_early_leaves_nothing(self, server: LiveServer) -> None:
        content = b"closed in the middle" * 1000
        with server.connect() as wire:
            wire.send(upload_head(Content_Length="1000000") + START + content)
        assert_still_works(server)
        assert_nothing_was_kept(server, content)

    def test_a_client_that_ends_its_side_early_is_told(self, server: LiveServer) -> None:
        content = b"ended in the middle" * 1000
        with server.connect() as wire:
            wire.send(upload_head(Content_Length="1000000") + START + content)
            wire.end_sending()
            answer = wire.receive_answer()
        assert (answer.status, answer.problem) == (400, "incomplete-body")
        assert_nothing_was_kept(server, content)

    def test_a_client_that_ends_right_after_the_last_boundary_is_told(
        self, server: LiveServer
    ) -> None:
        content = b"whole file, short body" * 1000
        with server.connect() as wire:
            wire.send(upload_head(Content_Length="1000000") + START + content + END)
            wire.end_sending()
            answer = wire.receive_answer()
        assert (answer.status, answer.problem) == (400, "incomplete-body")
        assert_nothing_was_kept(server, content)

    def test_a_client_that_resets_the_connection_leaves_nothing(self, server: LiveServer) -> None:
        content = b"reset in the middle" * 10_000
        wire = server.connect()
        wire.send(upload_head(Content_Length="1000000") + START + content)
        wire.reset()
        assert_still_works(server)
        assert_nothing_was_kept(server, content)

    @pytest.mark.parametrize("missing", [1, len(END) - 2, len(END)])
    def test_a_body_cut_before_its_last_boundary_is_refused(
        self, server: LiveServer, missing: int
    ) -> None:
        content = b"no boundary at the end %d" % missing
        body = START + content + END
        # The line's end after the last boundary is optional: cutting into it alone changes nothing.
        body = body[: len(body) - 2 - missing]
        answer = server.request("POST", "/upload", body, {"Content-Type": KIND})
        assert (answer.status, answer.problem) == (400, "malformed-body")
        assert_nothing_was_kept(server, content)

    def test_a_body_without_any_boundary_is_refused(self, server: LiveServer) -> None:
        headers = {"Content-Type": "multipart/form-data"}
        answer = server.request("POST", "/upload", START + END, headers)
        assert answer.status == 400
        assert answer.problem in {"malformed-body", "missing-file"}

    def test_a_bad_chunk_is_refused(self, wire: Wire, server: LiveServer) -> None:
        content = b"a chunk of which is bad"
        wire.send(upload_head(Transfer_Encoding="chunked") + chunk(START + content) + b"xyz\r\n")
        answer = wire.receive_answer()
        assert (answer.status, answer.problem) == (400, "malformed-body")
        assert wire.is_closed_by_peer()
        assert_nothing_was_kept(server, content)

    def test_a_chunk_without_its_end_is_refused(self, wire: Wire, server: LiveServer) -> None:
        content = b"a chunk longer than it says"
        wire.send(upload_head(Transfer_Encoding="chunked"))
        wire.send(b"5\r\n" + START + content + END + b"\r\n0\r\n\r\n")
        answer = wire.receive_answer()
        assert (answer.status, answer.problem) == (400, "malformed-body")
        assert wire.is_closed_by_peer()
        assert_nothing_was_kept(server, content)

    def test_chunks_that_break_off_are_refused(self, server: LiveServer) -> None:
        content = b"the last chunk is missing"
        with server.connect() as wire:
            wire.send(upload_head(Transfer_Encoding="chunked") + chunk(START + content + END))
            wire.end_sending()
            answer = wire.receive_answer()
        assert answer.status == 400
        assert_nothing_was_kept(server, content)

    @pytest.mark.parametrize(
        "coding", [{"Transfer_Encoding": "gzip, chunked"}, {"Content_Encoding": "gzip"}]
    )
    def test_a_coding_that_would_be_stored_as_it_stands_is_refused(
        self, server: LiveServer, coding: dict[str, str]
    ) -> None:
        content = b"gzip is said, and is not there"
        with server.connect() as wire:
            if "Transfer_Encoding" in coding:
                wire.send(upload_head(**coding) + chunk(START + content + END) + chunk(b""))
            else:
                body = START + content + END
                wire.send(upload_head(Content_Length=str(len(body)), **coding) + body)
            answer = wire.receive_answer()
        assert (answer.status, answer.problem) == (415, "unsupported-coding")
        assert_nothing_was_kept(server, content)


class TestChunkedBodies:
    def test_a_chunked_multipart_upload_is_kept(self, wire: Wire, server: LiveServer) -> None:
        content = b"in many chunks" * 5000
        body = START + content + END
        wire.send(upload_head(Transfer_Encoding="chunked"))
        for start in range(0, len(body), 7777):
            wire.send(chunk(body[start : start + 7777]))
        wire.send(chunk(b""))
        assert wire.receive_answer().json["upload"]["digests"]["sha256"] == digest(content)
        assert server.knows(digest(content)) == 200

    def test_a_chunked_upload_and_the_next_request_share_a_connection(self, wire: Wire) -> None:
        wire.send(upload_head(Transfer_Encoding="chunked") + chunk(START + b"x" + END) + chunk(b""))
        assert wire.receive_answer().status == 200
        assert_next_request_works(wire)


def assert_next_request_works(wire: Wire) -> None:
    wire.send_request("GET", "/ping")
    assert wire.receive_answer().body == b"pong\n"


class TestRefusals:
    """A refusal is read by the client, and the connection goes on where that is possible."""

    def test_an_announced_length_over_the_limit_is_refused_before_the_body_comes(
        self, impatient_server: LiveServer
    ) -> None:
        with impatient_server.connect() as wire:
            wire.send(upload_head(Content_Length=str(1024**4)))
            answer = wire.receive_answer()
        assert (answer.status, answer.problem) == (413, "too-large")
        assert answer.json["detail"] == {"max_content_length": 4 * 1024**2}

    @pytest.mark.parametrize("size", [5 * 1024**2 + 1, 12 * 1024**2])
    def test_a_refused_upload_is_answered_and_the_connection_goes_on(
        self, impatient_server: LiveServer, size: int
    ) -> None:
        with impatient_server.connect() as wire:
            wire.send_request("POST", "/upload", *_as_body(bytes(size)))
            assert wire.receive_answer().status == 413
            assert_next_request_works(wire)

    def test_a_length_just_over_the_limit_is_noticed_as_the_bytes_come(
        self, impatient_server: LiveServer
    ) -> None:
        with impatient_server.connect() as wire:
            wire.send_request("POST", "/upload", *_as_body(bytes(4 * 1024**2 + 1)))
            assert wire.receive_answer().status == 413
            assert_next_request_works(wire)

    def test_exactly_the_limit_is_kept(self, impatient_server: LiveServer) -> None:
        receipt = impatient_server.upload(bytes(4 * 1024**2))
        assert receipt["upload"]["size"] == 4 * 1024**2

    def test_a_body_over_the_limit_without_a_length_is_refused(
        self, impatient_server: LiveServer
    ) -> None:
        with impatient_server.connect() as wire:
            wire.send(upload_head(Transfer_Encoding="chunked") + chunk(START))
            for _ in range(5):
                wire.send(chunk(bytes(1024**2)))
            wire.send(chunk(END) + chunk(b""))
            answer = wire.receive_answer()
            assert (answer.status, answer.problem) == (413, "too-large")
            assert_next_request_works(wire)
        impatient_server.wait_for_empty_staging()

    def test_a_refusal_far_beyond_what_is_drained_is_still_read(
        self, impatient_server: LiveServer
    ) -> None:
        with impatient_server.connect() as wire:
            wire.send(upload_head(Content_Length=str(40 * 1024**2)))
            sender = threading.Thread(target=_send_until_refused, args=(wire, 40))
            sender.start()
            answer = wire.receive_answer()
            sender.join()
        assert answer.status == 413

    def test_a_refused_field_leaves_the_connection_usable(self, wire: Wire) -> None:
        wire.send_request("POST", "/upload", *_as_body(bytes(2 * 1024**2), field="wrong"))
        answer = wire.receive_answer()
        assert (answer.status, answer.problem) == (400, "missing-file")
        assert_next_request_works(wire)

    @pytest.mark.parametrize("path", ["/nowhere", "/config", "/ping", f"/checksum/{UNKNOWN}"])
    def test_a_body_that_nobody_wants_does_not_cost_the_connection(
        self, wire: Wire, path: str
    ) -> None:
        wire.send_request("POST", path, *_as_body(bytes(3 * 1024**2)))
        assert wire.receive_answer().status in {404, 405}
        assert_next_request_works(wire)

    def test_too_many_parts_are_refused(self, servers: ServerFactory) -> None:
        part = b'--the-boundary\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
        body = part * 1001 + b"--the-boundary--\r\n"
        server = servers.start(UNPACK_MAX_MEMBERS="1000", WEB_CONCURRENCY="1", FSYNC="off")
        with server.connect() as wire:
            wire.send_request("POST", "/upload", body, {"Content-Type": KIND})
            answer = wire.receive_answer()
            assert (answer.status, answer.problem) == (413, "too-many-parts")
            assert_next_request_works(wire)


def _as_body(content: bytes, *, field: str = "file") -> tuple[bytes, dict[str, str]]:
    body, kind = multipart(content, field=field)
    return body, {"Content-Type": kind}


def _send_until_refused(wire: Wire, mebibytes: int) -> None:
    try:
        for _ in range(mebibytes):
            wire.send(bytes(1024**2))
    except OSError:
        # The server closed: past the drain it owes nobody its ears.
        return


class TestConnections:
    def test_many_requests_share_a_connection(self, wire: Wire) -> None:
        for number in range(20):
            wire.send_request("POST", "/upload", *_as_body(b"number %d" % number))
            assert wire.receive_answer().status == 200
            wire.send_request("HEAD", f"/checksum/{digest(b'number %d' % number)}")
            assert wire.receive_answer("HEAD").status == 200

    def test_requests_sent_before_their_answers_are_answered_in_order(self, wire: Wire) -> None:
        body, headers = _as_body(b"pipelined")
        for _ in range(3):
            wire.send_request("POST", "/upload", body, headers)
            wire.send_request("HEAD", f"/checksum/{digest(b'pipelined')}")
            wire.send_request("GET", "/ping")
        answers: list[Answer] = []
        for _ in range(3):
            answers += [wire.receive_answer(method) for method in ("POST", "HEAD", "GET")]
        assert [answer.status for answer in answers] == [200] * 9
        assert answers[-1].body == b"pong\n"

    def test_bytes_beyond_the_length_are_the_next_request(self, wire: Wire) -> None:
        body, headers = _as_body(b"five")
        wire.send_request("POST", "/upload", body, headers)
        wire.send(b"surplus\r\n\r\n")
        assert wire.receive_answer().json["upload"]["size"] == 4
        assert wire.receive_answer().status == 400
        assert wire.is_closed_by_peer()

    def test_expect_continue_is_answered_before_the_body_is_sent(self, wire: Wire) -> None:
        body = START + b"expected" + END
        wire.send(upload_head(Content_Length=str(len(body)), Expect="100-continue"))
        assert wire.receive_line() == b"HTTP/1.1 100 Continue"
        assert wire.receive_line() == b""
        wire.send(body)
        assert wire.receive_answer().status == 200

    def test_an_expectation_that_nobody_knows_is_refused(self, wire: Wire) -> None:
        wire.send(upload_head(Content_Length="5", Expect="bogus"))
        assert wire.receive_answer().status == 417

    def test_http_1_0_is_answered_and_closed(self, wire: Wire) -> None:
        wire.send(b"GET /ping HTTP/1.0\r\n\r\n")
        assert wire.receive_answer().body == b"pong\n"
        assert wire.is_closed_by_peer()


class TestHeaders:
    def test_a_hundred_and_one_headers_are_refused(self, wire: Wire) -> None:
        wire.send_request("GET", "/ping", headers={f"X-{n}": "x" for n in range(101)})
        assert wire.receive_answer().status == 431

    def test_a_header_of_more_than_8190_bytes_is_refused(self, wire: Wire) -> None:
        wire.send_request("GET", "/ping", headers={"X": "x" * 8191})
        assert wire.receive_answer().status == 431

    def test_a_request_line_that_is_too_long_is_refused(self, wire: Wire) -> None:
        wire.send_request("GET", "/" + "x" * 9000)
        assert wire.receive_answer().status == 414

    @pytest.mark.parametrize(
        "fields",
        [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: -5",
            "Content-Length: five",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: bogus",
            "X: y\r\n folded: yes",
            "Sp ace: x",
        ],
    )
    def test_a_framing_with_two_readings_is_refused(self, wire: Wire, fields: str) -> None:
        wire.send(f"POST /upload HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n".encode())
        assert wire.receive_answer().status in {400, 501}
        assert wire.is_closed_by_peer()

    @pytest.mark.parametrize(
        "path",
        [
            "/%00",
            "/../../etc/passwd",
            "/%2e%2e%2f%2e%2e%2fetc/passwd",
            "/blob/%2e%2e/%2e%2e/bucket-layout",
            "/%ff%fe",
            "/checksum/%00",
            "/checksum/" + "%F0%9F%AA%A3" * 16,
            "/blob/" + "%D9%A0" * 64,
            "/uploads/..%2f..%2fprivate",
            "/static/..%2f..%2fapp.py",
            "//evil.example/",
        ],
    )
    def test_a_strange_path_is_a_clear_refusal(self, wire: Wire, path: str) -> None:
        wire.send_request("GET", path)
        answer = wire.receive_answer()
        assert answer.status in {400, 404}
        assert b"Traceback" not in answer.body
        assert_next_request_works(wire)


class TestMethods:
    @pytest.mark.parametrize("path", ROUTES)
    def test_head_says_what_get_says_without_a_body(self, wire: Wire, path: str) -> None:
        wire.send_request("GET", path)
        got = wire.receive_answer()
        wire.send_request("HEAD", path)
        asked = wire.receive_answer("HEAD")
        # The connection stays in step only if no byte of a body was sent.
        assert_next_request_works(wire)
        assert asked.status == got.status
        if not path.startswith("/checksum/"):
            assert asked.headers["Content-Type"] == got.headers["Content-Type"]
            assert asked.headers["Content-Length"] == got.headers["Content-Length"]

    @pytest.mark.parametrize("path", ROUTES)
    def test_options_says_what_is_allowed(self, wire: Wire, path: str) -> None:
        wire.send_request("OPTIONS", path)
        answer = wire.receive_answer()
        assert_next_request_works(wire)
        if path == "/nowhere":
            assert answer.status == 404
        else:
            assert answer.status in {200, 204}
            assert {"GET", "HEAD", "OPTIONS"} <= set(answer.headers["Allow"].split(", "))

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            (method, path)
            for method in ("DELETE", "PATCH", "TRACE", "BREW")
            for path in ROUTES[:-1]
            if (method, path) != ("DELETE", UPLOAD)
        ],
    )
    def test_any_other_method_is_not_allowed(self, wire: Wire, method: str, path: str) -> None:
        wire.send_request(method, path)
        answer = wire.receive_answer()
        assert (answer.status, answer.problem) == (405, "method-not-allowed")
        assert "GET" in answer.headers["Allow"]
        assert_next_request_works(wire)


class TestSlowBodies:
    def test_a_body_that_stalls_is_told_and_forgotten(self, impatient_server: LiveServer) -> None:
        content = b"and then nothing"
        with impatient_server.connect() as wire:
            wire.send(upload_head(Content_Length="1000") + START + content)
            answer = wire.receive_answer()
            assert (answer.status, answer.problem) == (408, "slow-body")
            assert wire.is_closed_by_peer()
        assert_nothing_was_kept(impatient_server, content)

    def test_a_slow_body_that_lives_goes_through(self, servers: ServerFactory) -> None:
        server = servers.start(BODY_IDLE_SECONDS="4", BODY_MIN_RATE="1")
        content = b"0123456789" * 5
        with server.connect() as wire:
            wire.send(upload_head(Content_Length=str(len(START + content + END))) + START)
            for start in range(0, 50, 10):
                # The upload as a whole takes longer than the server waits for any piece of it.
                time.sleep(1)
                wire.send(content[start : start + 10])
            wire.send(END)
            assert wire.receive_answer().status == 200

    def test_as_many_stalled_bodies_as_threads_stop_nobody_for_long(
        self, servers: ServerFactory
    ) -> None:
        server = servers.start(WEB_CONCURRENCY="1", THREADS="2", BODY_IDLE_SECONDS="1")
        stalled = [server.connect() for _ in range(4)]
        for wire in stalled:
            wire.send(upload_head(Content_Length="1000") + START)
        assert_still_works(server)
        for wire in stalled:
            assert wire.receive_answer().status == 408
            wire.close()

    def test_a_reader_that_stalls_is_let_go(self, servers: ServerFactory) -> None:
        server = servers.start(WEB_CONCURRENCY="1", THREADS="1", BODY_IDLE_SECONDS="1")
        content = bytes(16 * 1024**2)
        server.upload(content)
        with server.connect() as wire:
            wire.send_request("GET", f"/blob/{digest(content)}")
            # Not read on: the kernel's buffers fill, and the only thread waits.
            assert wire.receive_line() == b"HTTP/1.1 200 OK"
            assert_still_works(server)
        server.wait_for_empty_staging()
