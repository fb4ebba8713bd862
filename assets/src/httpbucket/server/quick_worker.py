"""The worker that ships: a plain HEAD of a checksum, or what was asked before, needs no thread.

Most of what such a question costs is gunicorn's handing the connection from its poller to a thread
and back. Whoever asks it this way is answered where the connection is read.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn

from httpbucket.server.incoming import is_closed
from httpbucket.server.learning import Learner, answer_of
from httpbucket.server.places import Places
from httpbucket.server.plain_head import MOST_BYTES, PlainHead
from httpbucket.server.plain_upload import MOST_BYTES as MOST_UPLOAD_BYTES
from httpbucket.server.plain_upload import PlainUploads
from httpbucket.server.remembered import Answer, Remembered, key_of
from httpbucket.server.whole_request import WholeRequest
from httpbucket.server.worker import PatientWorker


class QuickWorker(PatientWorker):
    """Answers in the poller's thread what ``plain_head`` answers, when nothing has to wait.

    And what is ``remembered``, by the ``learner``. Everything else goes to a thread, with the bytes
    that came; there ``plain_uploads`` are kept past gunicorn, to which all the rest is left.
    """

    plain_head: PlainHead | None = None
    remembered: Remembered | None = None
    learner: Learner | None = None
    plain_uploads: PlainUploads | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # What was asked on connections that are with a thread, and what is learned from it.
        self._asked: dict[TConn, tuple[bytes, float]] = {}
        self._learned: dict[TConn, tuple[bytes, Answer]] = {}

    def on_client_socket_readable(self, conn: TConn, client: Any) -> None:
        """Take the next request of a connection that was kept."""
        if not self._is_answered(conn, self.keepalived_conns):
            super().on_client_socket_readable(conn, client)

    def on_pending_socket_readable(self, conn: TConn, client: Any) -> None:
        """Take the first request of a connection."""
        if not self._is_answered(conn, self.pending_conns):
            super().on_pending_socket_readable(conn, client)

    def handle(self, conn: TConn) -> Any:
        """Read a request and answer it, in a thread."""
        try:
            return super().handle(conn)
        finally:
            self._asked.pop(conn, None)

    def _handle_one(self, conn: TConn) -> Any:
        kept = self._keep_upload(conn, self.plain_uploads) if self.plain_uploads else None
        return super()._handle_one(conn) if kept is None else kept

    def _keep_upload(self, conn: TConn, uploads: PlainUploads) -> bool | None:
        """Answer a plain upload all of which came; None where nothing was read, as it seems.

        Waits no longer for the rest than for a client's next request.
        """
        # It waits with nobody any more, so it counts as one that was pending.
        if not self._may_be_kept(self.pending_conns):
            return None
        conn.init()
        conn.sock.setblocking(False)
        places = self.places or Places(1)
        request = WholeRequest(conn, places)
        head = uploads.head_of(request.start(MOST_UPLOAD_BYTES))
        body = request.body(head.size, head.length) if head else None
        answer = None
        if head and body is not None:
            with places.taken():
                answer = uploads.answer_to(head, body, lambda: is_closed(conn.sock))
        if answer is None:
            request.give_back()
            return None
        self.nr += 1
        return _is_sent(conn, answer, within_seconds=self.head_seconds)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Answer a request whose head is there; learn the answer, if it may be asked for again."""
        asked = self._asked.pop(conn, None)
        if asked is None or self.learner is None:
            return super().handle_request(req, conn)
        key, asked_at = asked
        with self.learner.listening() as heard:
            is_kept = super().handle_request(req, conn)
        if is_kept and (answer := answer_of(heard, asked_at=asked_at, cfg=self.cfg)):
            self._learned[conn] = (key, answer)
        return is_kept

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """Keep a connection, or let it go."""
        learned = self._learned.pop(conn, None)
        if learned and self.remembered:
            self.remembered.add(*learned)
        super().finish_request(conn, fs)

    def _is_answered(self, conn: TConn, among: deque[TConn]) -> bool:
        is_apart = self.plain_head or self.remembered
        if not is_apart or not self._may_be_kept(among):
            return False
        try:
            request = conn.sock.recv(MOST_BYTES)
        except BlockingIOError:
            return True  # Nothing came after all: the connection waits on.
        except OSError:
            return False
        if not request:
            # All was answered, and the client goes: that needs no thread either.
            self._part_with(conn, among)
            return True
        answer = self._answer_to(request, conn)
        sent = 0 if answer is None else _send(conn, answer)
        if answer is None or sent == 0:
            _give_back(conn, request)
            return False
        self.nr += 1
        if sent < len(answer):
            self._send_in_thread(conn, among, answer[sent:])
        else:
            self._keep(conn, among)
        return True

    def _answer_to(self, request: bytes, conn: TConn) -> bytes | None:
        if self.plain_head and (answer := self.plain_head.answer_to(request)):
            return answer
        if self.remembered is None or (key := key_of(request, conn.client)) is None:
            return None
        answer = self.remembered.answer_to(key)
        if answer is None:
            self._asked[conn] = (key, time.time())
        return answer

    def _may_be_kept(self, among: deque[TConn]) -> bool:
        """Whether gunicorn would keep the connection after this answer."""
        kept = len(self.keepalived_conns) - (among is self.keepalived_conns)
        is_last = self.nr + 1 >= self.max_requests
        return bool(self.alive and not is_last and kept < self.max_keepalived)

    def _part_with(self, conn: TConn, among: deque[TConn]) -> None:
        among.remove(conn)
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def _keep(self, conn: TConn, among: deque[TConn]) -> None:
        among.remove(conn)
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        if among is self.pending_conns:
            conn.data_ready = True
            readable = partial(self.on_client_socket_readable, conn)
            self.poller.modify(conn.sock, selectors.EVENT_READ, readable)

    def _send_in_thread(self, conn: TConn, among: deque[TConn], rest: bytes) -> None:
        """A client that reads none of its answers for long is waited for elsewhere."""
        among.remove(conn)
        self.poller.unregister(conn.sock)
        conn.init()
        conn.sock.settimeout(self.head_seconds)
        future = self.tpool.submit(_send_all, conn, rest)
        future.add_done_callback(
            lambda done: self.method_queue.defer(self.finish_request, conn, done)
        )


def _send(conn: TConn, answer: bytes) -> int:
    """How much of it could be sent at once; what is wrong with a connection, a thread finds out."""
    try:
        return int(conn.sock.send(answer))
    except OSError:
        return 0


def _is_sent(conn: TConn, answer: bytes, *, within_seconds: float) -> bool:
    """Send an answer from a thread, and say whether the client took it."""
    sent = _send(conn, answer)
    if sent < len(answer):
        conn.sock.settimeout(within_seconds)
        try:
            conn.sock.sendall(answer[sent:])
        except OSError:
            return False
    return True


def _send_all(conn: TConn, rest: bytes) -> bool:
    conn.sock.sendall(rest)
    return True


def _give_back(conn: TConn, request: bytes) -> None:
    """Let gunicorn read again what was taken from the connection."""
    conn.init()
    conn.parser.unreader.unread(request)
