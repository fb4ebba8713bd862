"""What the worker does with a connection on which a question came."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import TConn

from httpbucket.server import gathering
from httpbucket.server.growing_pool import GrowingPool
from httpbucket.server.learning import Learner
from httpbucket.server.plain_head import PlainHead
from httpbucket.server.plain_upload import PlainUploads
from httpbucket.server.quick_worker import QuickWorker
from httpbucket.server.remembered import Answer, Remembered
from httpbucket.services.see_again import SeeAgain, Seen
from httpbucket.storage.memory import MemoryIndex
from httpbucket.web.quick_head import HeadAnswer
from httpbucket.web.quick_upload import PlainUpload, UploadAnswer
from httpbucket.web.sent import TELL_SENT, SendAgain, Sent
from tests.services.test_see_again import Sighting

REQUEST = b"HEAD /checksum/0 HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = HeadAnswer("200 OK", (("Content-Length", "0"),))


class Worker(QuickWorker):
    """Notes which connections go to a thread, and runs no loop."""

    def __init__(self) -> None:
        super().__init__(1, 1, [], None, 30, Config(), None)
        self.plain_head = PlainHead(lambda digests: [ANSWER] * len(digests), self.cfg)
        self.plain_uploads = PlainUploads(self.keep, self.cfg)
        self.kept: list[PlainUpload] = []
        self.is_gone: list[bool] = []
        self.poller = selectors.DefaultSelector()
        self.tpool = GrowingPool(stay=1, most=1)
        self.method_queue.init()
        self.in_threads: list[TConn] = []

    def keep(self, upload: PlainUpload) -> UploadAnswer:
        self.kept.append(upload)
        self.is_gone.append(upload.is_gone())
        return UploadAnswer(ANSWER, b"")

    def enqueue_req(self, conn: TConn) -> None:
        self.in_threads.append(conn)

    def close(self) -> None:
        self.tmp.close()
        self.tpool.shutdown()
        self.poller.close()
        self.method_queue.close()


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(10)
        yield ours, theirs


@pytest.fixture
def theirs(sockets: tuple[socket.socket, socket.socket]) -> socket.socket:
    return sockets[1]


@pytest.fixture
def conn(worker: Worker, sockets: tuple[socket.socket, socket.socket]) -> TConn:
    """A new connection, as the poller has it."""
    conn = TConn(worker.cfg, sockets[0], ("127.0.0.1", 1), ("127.0.0.1", 2))
    worker._await_first_bytes(conn)
    return conn


def keep_upload(worker: Worker, conn: TConn) -> bool | None:
    assert worker.plain_uploads is not None
    return worker._keep_upload(conn, worker.plain_uploads)


def dispatch(worker: Worker) -> None:
    worker.wait_for_and_dispatch_events(timeout=10)


def test_a_plain_question_needs_no_thread(
    worker: Worker, conn: TConn, theirs: socket.socket
) -> None:
    for number in range(3):
        theirs.sendall(REQUEST)
        dispatch(worker)
        assert theirs.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        assert worker.nr == number + 1
    assert worker.in_threads == []
    assert [*worker.keepalived_conns] == [conn]
    assert [*worker.pending_conns] == []


def connect(worker: Worker) -> tuple[TConn, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    conn = TConn(worker.cfg, ours, ("127.0.0.1", 1), ("127.0.0.1", 2))
    worker._await_first_bytes(conn)
    return conn, theirs


def test_what_came_on_several_connections_is_read_before_anything_is_looked_up(
    worker: Worker,
) -> None:
    steps = []

    @contextmanager
    def one_moment() -> Iterator[None]:
        steps.append("moment")
        yield
        steps.append("end")

    def answers(digests: Sequence[str]) -> list[HeadAnswer | None]:
        steps.append(" ".join(digests))
        return [ANSWER if digest == "0" else None for digest in digests]

    worker.one_moment = one_moment
    worker.plain_head = PlainHead(answers, worker.cfg)
    with ExitStack() as stack:
        pairs = [connect(worker) for _ in range(4)]
        for conn, theirs in pairs:
            stack.enter_context(conn.sock)
            stack.enter_context(theirs)
        requests = [REQUEST, REQUEST.replace(b"m/0", b"m/1"), b"GET / HTTP/1.1\r\n", REQUEST]
        for (_, theirs), request in zip(pairs, requests, strict=True):
            theirs.sendall(request)
        dispatch(worker)
        assert steps == ["moment", "0 1 0", "end"]
        assert worker.in_threads == [pairs[1][0], pairs[2][0]]
        assert [conn.parser.unreader.read() for conn in worker.in_threads] == requests[1:3]
        for number in (0, 3):
            assert pairs[number][1].recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        assert [*worker.keepalived_conns] == [pairs[0][0], pairs[3][0]]


def test_more_than_are_answered_together_are_all_answered(worker: Worker) -> None:
    with ExitStack() as stack:
        pairs = [connect(worker) for _ in range(gathering._AT_ONCE + 3)]
        for conn, theirs in pairs:
            stack.enter_context(conn.sock)
            stack.enter_context(theirs)
            theirs.sendall(REQUEST)
        dispatch(worker)
        assert all(theirs.recv(1000).startswith(b"HTTP/1.1 200 OK") for _, theirs in pairs)
        assert worker.nr == len(pairs)


def test_connections_whose_time_is_over_are_closed_whoever_was_answered_meanwhile(
    worker: Worker, conn: TConn, theirs: socket.socket
) -> None:
    worker.nr_conns = 2
    other, others = connect(worker)
    with other.sock, others:
        for end in (theirs, others, theirs):
            end.sendall(REQUEST)
            dispatch(worker)
            end.recv(1000)
        # The first connection was answered last, and stands first.
        assert [*worker.keepalived_conns] == [conn, other]
        other.timeout = 0.0
        worker._order_at = 0.0
        worker.murder_keepalived()
        assert [*worker.keepalived_conns] == [conn]
        assert others.recv(1000) == b""
        assert worker.nr_conns == 1


@pytest.mark.parametrize("request_bytes", [b"HEAD /ch", REQUEST * 2, b"GET / HTTP/1.1\r\n"])
@pytest.mark.parametrize("earlier", [0, 1])
def test_anything_else_goes_to_a_thread_with_all_that_came(
    worker: Worker, conn: TConn, theirs: socket.socket, request_bytes: bytes, earlier: int
) -> None:
    for _ in range(earlier):
        theirs.sendall(REQUEST)
        dispatch(worker)
        theirs.recv(1000)
    theirs.sendall(request_bytes)
    theirs.shutdown(socket.SHUT_WR)
    dispatch(worker)
    assert worker.in_threads == [conn]
    assert conn.parser.unreader.read() == request_bytes
    assert (len(worker.keepalived_conns), len(worker.pending_conns)) == (0, 0)
    assert conn.sock not in worker.poller.get_map()


@pytest.mark.parametrize("earlier", [0, 1])
def test_a_client_that_goes_needs_no_thread(
    worker: Worker, conn: TConn, theirs: socket.socket, earlier: int
) -> None:
    worker.nr_conns = 1
    for _ in range(earlier):
        theirs.sendall(REQUEST)
        dispatch(worker)
        theirs.recv(1000)
    theirs.shutdown(socket.SHUT_WR)
    dispatch(worker)
    assert theirs.recv(1000) == b""
    assert worker.in_threads == []
    assert (len(worker.keepalived_conns), len(worker.pending_conns)) == (0, 0)
    assert worker.nr_conns == 0


def test_a_worker_that_ends_leaves_the_last_answers_to_gunicorn(
    worker: Worker, conn: TConn, theirs: socket.socket
) -> None:
    worker.alive = False
    theirs.sendall(REQUEST)
    dispatch(worker)
    assert worker.in_threads == [conn]


def test_so_does_one_whose_number_of_requests_is_reached(
    worker: Worker, conn: TConn, theirs: socket.socket
) -> None:
    worker.max_requests = 2
    for _ in range(2):
        theirs.sendall(REQUEST)
        dispatch(worker)
    assert worker.nr == 1
    assert worker.in_threads == [conn]


def test_so_does_one_that_keeps_no_more_connections(
    worker: Worker, conn: TConn, theirs: socket.socket
) -> None:
    worker.max_keepalived = 0
    theirs.sendall(REQUEST)
    dispatch(worker)
    assert worker.in_threads == [conn]


class Clogged:
    """A socket that takes only so many bytes more."""

    def __init__(self, connection: socket.socket, room: int) -> None:
        self._connection = connection
        self._room = room

    def send(self, piece: bytes) -> int:
        if not self._room:
            raise BlockingIOError
        sent = self._connection.send(piece[: self._room])
        self._room -= sent
        return sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_a_client_that_reads_no_answers_is_waited_for_in_a_thread(
    worker: Worker, conn: TConn, theirs: socket.socket
) -> None:
    conn.sock = Clogged(conn.sock, 0)
    theirs.sendall(REQUEST)
    dispatch(worker)
    assert worker.in_threads == [conn]
    assert conn.parser.unreader.read() == REQUEST


def test_an_answer_that_goes_out_in_part_is_ended_in_a_thread(
    worker: Worker, conn: TConn, theirs: socket.socket
) -> None:
    conn.sock = Clogged(conn.sock, 10)
    theirs.sendall(REQUEST)
    dispatch(worker)
    with theirs.makefile("rb") as incoming:
        lines = [incoming.readline() for _ in range(6)]
    assert lines[0] == b"HTTP/1.1 200 OK\r\n"
    assert lines[-1] == b"\r\n"
    worker.poller.register(worker.method_queue.fileno(), 1, worker.method_queue.run_callbacks)
    dispatch(worker)
    assert [*worker.keepalived_conns] == [conn]


DOWNLOAD = b"GET /blob/00 HTTP/1.1\r\nHost: x\r\n\r\n"


def test_what_a_thread_answered_is_answered_again_without_one(
    worker: Worker, conn: TConn, theirs: socket.socket
) -> None:
    worker.remembered = Remembered(SendAgain(SeeAgain(MemoryIndex())))
    theirs.sendall(DOWNLOAD)
    dispatch(worker)
    assert worker.in_threads == [conn]
    sent = Sent(Seen(Sighting()), 0, 3)
    worker._learned[conn] = (DOWNLOAD, Answer(b"HTTP/1.1 200 OK\r\nDate: ", b"\r\n\r\n", sent))
    assert next(conn.parser).path == "/blob/00"
    done: Future[Any] = Future()
    done.set_result(True)
    worker.finish_request(conn, done)
    theirs.sendall(DOWNLOAD)
    dispatch(worker)
    assert worker.in_threads == [conn]
    assert theirs.recv(1000).endswith(b"\r\n\r\n012")
    assert [*worker.keepalived_conns] == [conn]


def test_it_learns_what_is_said_in_a_thread(
    worker: Worker, conn: TConn, theirs: socket.socket
) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        environ[TELL_SENT](Sent(Seen(Sighting(settled_at=1.0)), 0, 3))
        start_response("200 OK", [("Content-Length", "3")])
        return [b"012"]

    worker.remembered = Remembered(SendAgain(SeeAgain(MemoryIndex())))
    worker.wsgi = worker.learner = Learner(application)
    worker.log = Logger(worker.cfg)
    theirs.sendall(DOWNLOAD)
    dispatch(worker)
    done: Future[Any] = Future()
    done.set_result(worker.handle(conn))
    theirs.recv(1000)
    worker.finish_request(conn, done)
    assert (worker._asked, worker._learned) == ({}, {})
    assert worker.remembered.answer_to(DOWNLOAD)


UPLOAD = b"PUT /upload/a.xml HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\ncontent"


def test_plain_uploads_are_kept_by_the_thread_that_reads_them(
    worker: Worker, conn: TConn, theirs: socket.socket
) -> None:
    theirs.sendall(UPLOAD)
    dispatch(worker)
    assert worker.in_threads == [conn]
    for number in range(2):
        assert worker._handle_one(conn) is True
        assert theirs.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        assert [one.content for one in worker.kept] == [b"content"] * (number + 1)
        assert worker.nr == number + 1
        theirs.sendall(UPLOAD)
    assert worker.is_gone == [False, False]


@pytest.mark.parametrize(
    "request_bytes", [UPLOAD[:-1], UPLOAD * 2, UPLOAD.replace(b"PUT", b"PATCH"), b""]
)
def test_all_other_bytes_are_left_to_gunicorn(
    worker: Worker, conn: TConn, theirs: socket.socket, request_bytes: bytes
) -> None:
    theirs.sendall(request_bytes)
    assert keep_upload(worker, conn) is None
    assert conn.parser.unreader.take_buffered() == request_bytes
    assert (worker.kept, worker.nr) == ([], 0)


def test_an_upload_whose_client_has_closed_is_kept_and_the_connection_is_not(
    worker: Worker, conn: TConn, theirs: socket.socket
) -> None:
    theirs.sendall(UPLOAD)
    theirs.close()
    assert keep_upload(worker, conn) is False
    assert [one.content for one in worker.kept] == [b"content"]
    assert worker.is_gone == [True]


def test_the_last_upload_of_a_worker_is_left_to_gunicorn(
    worker: Worker, conn: TConn, theirs: socket.socket
) -> None:
    worker.max_requests = 1
    theirs.sendall(UPLOAD)
    assert keep_upload(worker, conn) is None
    assert worker.kept == []
