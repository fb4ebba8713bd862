"""gunicorn's threads, kept for requests that have come.

gunicorn gives a thread to every connection until the head of its request is there, waiting without
end for one that began, and closes connections in the one thread that accepts all others, waiting
up to two seconds for each client to close first. So a few clients that hold connections, for which
it takes no malice, would stop a worker. Here waiting is left to the poller.
"""

from __future__ import annotations

import errno
import resource
import selectors
import socket
import ssl
import time
from collections import deque
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from httpbucket.server.growing_pool import GrowingPool
from httpbucket.server.places import Places
from httpbucket.web.seldom import SeldomLog

#: Threads at work and threads that wait for the bytes of a body, which need little memory.
MOST_THREADS = 256

#: A thread's descriptors: two of its connection to the index, its client's, that of a file and
#: those of the directories on the way to it. And what a worker has open without any.
_DESCRIPTORS_OF_A_THREAD = 8
_DESCRIPTORS_AT_REST = 24

#: How long the head of a request may take from its first byte on.
HEAD_SECONDS = 10.0

#: How long, and for how much, a client may go on sending after its last answer: a connection that
#: is closed over unread bytes is reset, and the answer may be lost (RFC 9112, 9.6).
LINGER_SECONDS = 2.0
LINGER_BYTES = 1024**2
_PIECE = 64 * 1024

#: How long a thread waits for the next request of a client that it has just answered.
NEXT_SECONDS = 0.002
_QUESTIONS = (b"HEAD", b"GET ")

#: How often the parent is told that this worker lives; it waits for a minute.
NOTIFY_SECONDS = 0.5

#: How long nobody is accepted when there are too many open files. Nothing else waits for it long.
PAUSE_SECONDS = 0.2
_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """Waits in the poller for first bytes and for last ones, and with a thread in between.

    ``murder_pending`` is what gunicorn calls at least once a second, also while it stops.
    """

    head_seconds = HEAD_SECONDS
    places: Places | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._seldom = SeldomLog(self.log)
        # Written by the threads, read by the poller's: single steps of a dict are atomic.
        self._heads: dict[TConn, float] = {}
        self._lingering: deque[tuple[float, TConn]] = deque()
        self._drained: dict[TConn, int] = {}
        self._notified = 0.0

    def get_thread_pool(self) -> GrowingPool:
        """Threads besides those at work, for what waits for its client."""
        most = most_threads(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        return GrowingPool(stay=self.cfg.threads, most=max(self.cfg.threads, most))

    def notify(self) -> None:
        """Tell the parent that this worker lives; gunicorn would after every event."""
        now = time.monotonic()
        if now - self._notified >= NOTIFY_SECONDS:
            self._notified = now
            super().notify()

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection, if the process may have one more; gunicorn would end otherwise."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in _NO_DESCRIPTOR:
                raise
            # The connection waits in the kernel's queue; the pause keeps us from asking all day.
            self._seldom.warning(f"No descriptor is left for a new connection: {error}")
            time.sleep(PAUSE_SECONDS)

    def enqueue_req(self, conn: TConn) -> None:
        """Give a connection to a thread, once something came on it."""
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
        else:
            self._await_first_bytes(conn)

    def handle(self, conn: TConn) -> Any:
        """Answer a request in a thread, and those that follow without a pause."""
        result = self._handle_one(conn)
        while result is True and self._sends_on(conn):
            result = self._handle_one(conn)
        return result

    def _sends_on(self, conn: TConn) -> bool:
        """Whether the next request is there within `NEXT_SECONDS`, and is best answered here.

        Two hand-overs, to the poller and back, cost more than reading a request. HEAD and GET are
        for the poller, who may answer them by itself. Threads beyond those that stay do not wait.
        """
        connection, pool = conn.sock, self.tpool
        if not self.alive or isinstance(connection, ssl.SSLSocket) or pool.count > self.cfg.threads:
            return False
        if conn.parser.unreader.buf.getvalue():
            return False  # It was read already, which the poller's thread knows to look for.
        try:
            connection.settimeout(NEXT_SECONDS)
            start = connection.recv(len(_QUESTIONS[0]), socket.MSG_PEEK)
        except OSError:
            return False
        return bool(start) and not any(question.startswith(start) for question in _QUESTIONS)

    def _handle_one(self, conn: TConn) -> Any:
        self._heads[conn] = time.monotonic() + self.head_seconds
        try:
            return super().handle(conn)
        finally:
            self._heads.pop(conn, None)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Answer a request whose head is there."""
        self._heads.pop(conn, None)
        with self.places.taken() if self.places else nullcontext():
            return super().handle_request(req, conn)

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """Keep a connection, or let it go."""
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
        else:
            self._linger(conn)

    def murder_pending(self) -> None:
        """Let go of the connections whose time is over."""
        now = time.monotonic()
        if not self.alive:
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, now + LINGER_SECONDS)
        super().murder_pending()
        for conn, deadline in list(self._heads.items()):
            if deadline < now and self._heads.pop(conn, 0.0):
                # The thread that reads sees the end of the connection.
                with suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)
        while self._lingering and self._lingering[0][0] < now:
            self._let_go(self._lingering.popleft()[1])

    def _may_keep(self, count: int, *, others: int) -> bool:
        """Whether gunicorn would keep so many connections beside others, after their answers."""
        is_last = self.nr + count >= self.max_requests
        return bool(self.alive and not is_last and others + count <= self.max_keepalived)

    def _await_first_bytes(self, conn: TConn) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self._watch(conn, lambda client: self.on_pending_socket_readable(conn, client))

    def _linger(self, conn: TConn) -> None:
        """Say that this was the last answer, and take what the client still sends."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
        except OSError:
            self.nr_conns -= 1
            conn.close()
            return
        self._drained[conn] = 0
        self._lingering.append((time.monotonic() + LINGER_SECONDS, conn))
        self._watch(conn, lambda _: self._drain(conn))

    def _drain(self, conn: TConn) -> None:
        try:
            count = len(conn.sock.recv(_PIECE))
        except BlockingIOError:
            return
        except OSError:
            count = 0
        self._drained[conn] += count
        if count == 0 or self._drained[conn] > LINGER_BYTES:
            self._let_go(conn)

    def _let_go(self, conn: TConn) -> None:
        """Close a lingering connection, unless that was done."""
        if self._drained.pop(conn, None) is not None:
            self.poller.unregister(conn.sock)
            self.nr_conns -= 1
            conn.close()

    def _watch(self, conn: TConn, on_readable: Any) -> None:
        self.poller.register(conn.sock, selectors.EVENT_READ, on_readable)


def most_threads(descriptors: int) -> int:
    """How many threads a process that may have so many descriptors can bear."""
    if descriptors == resource.RLIM_INFINITY:
        return MOST_THREADS
    return min(MOST_THREADS, (descriptors - _DESCRIPTORS_AT_REST) // _DESCRIPTORS_OF_A_THREAD)
