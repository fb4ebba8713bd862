"""The worker that ships: a plain HEAD of a checksum, or what was asked before, needs no thread.

Most of what such a question costs is gunicorn's handing the connection from its poller to a thread
and back. Whoever asks it this way is answered where the connection is read.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from operator import attrgetter
from typing import Any

from gunicorn.workers.gthread import TConn

from httpbucket.server.learning import Learner, answer_of
from httpbucket.server.plain_head import MOST_BYTES, PlainHead
from httpbucket.server.remembered import Answer, Remembered, key_of
from httpbucket.server.worker import PatientWorker

#: A connection on which something came, and those among which it waited.
Came = tuple[TConn, deque[TConn]]

#: So many are answered together: their requests wait in memory, and meanwhile the index's log
#: cannot begin anew.
_AT_ONCE = 32

#: How long a connection may be kept beyond its time.
ORDER_SECONDS = 1.0


class QuickWorker(PatientWorker):
    """Answers in the poller's thread what ``plain_head`` answers, when nothing has to wait.

    And what is ``remembered``, by the ``learner``. Everything else goes to a thread, with the bytes
    that came.
    """

    plain_head: PlainHead | None = None
    remembered: Remembered | None = None
    learner: Learner | None = None
    one_moment: Callable[[], AbstractContextManager[None]] = staticmethod(nullcontext)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # What was asked on connections that are with a thread, and what is learned from it.
        self._asked: dict[TConn, tuple[bytes, float]] = {}
        self._learned: dict[TConn, tuple[bytes, Answer]] = {}
        self._came: list[Came] = []
        # A setting of gunicorn's takes a microsecond to ask for.
        self._keep_seconds = self.cfg.keepalive
        self._is_in_order = True
        self._order_at = 0.0

    def on_client_socket_readable(self, conn: TConn, client: Any) -> None:
        """Take the next request of a connection that was kept."""
        self._came.append((conn, self.keepalived_conns))

    def on_pending_socket_readable(self, conn: TConn, client: Any) -> None:
        """Take the first request of a connection."""
        self._came.append((conn, self.pending_conns))

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events, and answer what came on all connections together."""
        super().wait_for_and_dispatch_events(timeout)
        if self._came:
            came, self._came = self._came, []
            for start in range(0, len(came), _AT_ONCE):
                self._take(came[start : start + _AT_ONCE])

    def handle(self, conn: TConn) -> Any:
        """Read a request and answer it, in a thread."""
        try:
            return super().handle(conn)
        finally:
            self._asked.pop(conn, None)

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

    def murder_keepalived(self, force: bool = False) -> None:
        """Let go of the connections whose time is over, which gunicorn takes to stand first.

        Those that are answered here stay where they are: each would have to be looked for.
        """
        now = time.monotonic()
        if not self._is_in_order and (now >= self._order_at or not self.alive):
            in_order = sorted(self.keepalived_conns, key=attrgetter("timeout"))
            self.keepalived_conns.clear()
            self.keepalived_conns.extend(in_order)
            self._is_in_order = True
            self._order_at = now + ORDER_SECONDS
        super().murder_keepalived(force)

    def _take(self, came: Sequence[Came]) -> None:
        """Answer what can be answered here; the rest gets threads.

        All is read before anything is looked up, so that one look will do for all of it: that comes
        after every one of the requests, and before every answer.
        """
        if not self._may_be_kept(came):
            for conn, among in came:
                self._give_thread(conn, among)
            return
        asked = [
            (conn, among, request)
            for conn, among in came
            if (request := self._received(conn, among))
        ]
        timeout = time.monotonic() + self._keep_seconds
        with self.one_moment():
            heads = self._plain_answers([request for _, _, request in asked])
            for (conn, among, request), head in zip(asked, heads, strict=True):
                answer = head or self._again(conn, request)
                if answer is None or not self._is_sent(conn, among, answer, timeout):
                    _give_back(conn, request)
                    self._give_thread(conn, among)

    def _may_be_kept(self, came: Sequence[Came]) -> bool:
        """Whether gunicorn would keep all of these connections after their answers."""
        if not (self.plain_head or self.remembered):
            return False
        others = len(self.keepalived_conns)
        others -= sum([among is self.keepalived_conns for _, among in came])
        is_last = self.nr + len(came) >= self.max_requests
        return bool(self.alive and not is_last and others + len(came) <= self.max_keepalived)

    def _give_thread(self, conn: TConn, among: deque[TConn]) -> None:
        if among is self.keepalived_conns:
            super().on_client_socket_readable(conn, conn.sock)
        else:
            super().on_pending_socket_readable(conn, conn.sock)

    def _received(self, conn: TConn, among: deque[TConn]) -> bytes | None:
        try:
            request: bytes = conn.sock.recv(MOST_BYTES)
        except BlockingIOError:
            return None  # Nothing came after all: the connection waits on.
        except OSError:
            self._give_thread(conn, among)
            return None
        if not request:
            # All was answered, and the client goes: that needs no thread either.
            self._part_with(conn, among)
        return request

    def _plain_answers(self, requests: Sequence[bytes]) -> Sequence[bytes | None]:
        return self.plain_head.answers_to(requests) if self.plain_head else [None] * len(requests)

    def _again(self, conn: TConn, request: bytes) -> bytes | None:
        if self.remembered is None or (key := key_of(request, conn.client)) is None:
            return None
        answer = self.remembered.answer_to(key)
        if answer is None:
            self._asked[conn] = (key, time.time())
        return answer

    def _is_sent(self, conn: TConn, among: deque[TConn], answer: bytes, timeout: float) -> bool:
        """Send an answer, and keep the connection until then; False where nothing can be sent."""
        try:
            sent: int = conn.sock.send(answer)
        except OSError:
            return False  # What is wrong with the connection, a thread finds out.
        if sent < len(answer):
            self.nr += bool(sent)
            if sent:
                self._send_in_thread(conn, among, answer[sent:])
            return bool(sent)
        self.nr += 1
        conn.timeout = timeout
        if among is self.keepalived_conns:
            self._is_in_order = False
        else:
            self._keep_first(conn)
        return True

    def _keep_first(self, conn: TConn) -> None:
        """Keep a connection whose first request was answered."""
        self.pending_conns.remove(conn)
        self.keepalived_conns.append(conn)
        conn.data_ready = True
        readable = partial(self.on_client_socket_readable, conn)
        self.poller.modify(conn.sock, selectors.EVENT_READ, readable)

    def _part_with(self, conn: TConn, among: deque[TConn]) -> None:
        among.remove(conn)
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

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


def _send_all(conn: TConn, rest: bytes) -> bool:
    conn.sock.sendall(rest)
    return True


def _give_back(conn: TConn, request: bytes) -> None:
    """Let gunicorn read again what was taken from the connection."""
    conn.init()
    conn.parser.unreader.unread(request)
