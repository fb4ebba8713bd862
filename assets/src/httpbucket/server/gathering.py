"""Answering together what came on several connections at once, where it is read.

What an answer takes besides the answer, waiting, looking whether the index is still the same one, a
transaction, is paid once for all of them.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from operator import attrgetter
from typing import Any

from gunicorn.workers.gthread import TConn

from httpbucket.server.plain_head import MOST_BYTES
from httpbucket.server.worker import PatientWorker

#: A connection on which something came, and those among which it waited.
Came = tuple[TConn, deque[TConn]]

#: So many are answered together: their requests wait in memory, and meanwhile the index's log
#: cannot begin anew.
_AT_ONCE = 32

#: How long a connection may be kept beyond its time.
ORDER_SECONDS = 1.0


class GatheringWorker(PatientWorker):
    """Gathers requests, and gives those a thread that `answers` leaves.

    ``one_moment`` is entered when all have been read, and left when all were answered.
    """

    one_moment: Callable[[], AbstractContextManager[None]] = staticmethod(nullcontext)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._came: list[Came] = []
        # A setting of gunicorn's takes a microsecond to ask for.
        self._keep_seconds = self.cfg.keepalive
        self._is_in_order = True
        self._order_at = 0.0

    def answers_apart(self) -> bool:
        """Whether anything is answered without a thread."""
        return False

    def answers(self, asked: Sequence[tuple[TConn, bytes]]) -> Iterable[bytes | None]:
        """The answers to requests, in their order; None for what a thread has to answer."""
        return [None] * len(asked)

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
        if not (self.answers_apart() and self._are_kept(came)):
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
            answers = self.answers([(conn, request) for conn, _, request in asked])
            for (conn, among, request), answer in zip(asked, answers, strict=True):
                if answer is None or not self._is_sent(conn, among, answer, timeout):
                    _give_back(conn, request)
                    self._give_thread(conn, among)

    def _are_kept(self, came: Sequence[Came]) -> bool:
        others = len(self.keepalived_conns)
        others -= sum([among is self.keepalived_conns for _, among in came])
        return self._may_keep(len(came), others=others)

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

    def _is_sent(self, conn: TConn, among: deque[TConn], answer: bytes, timeout: float) -> bool:
        """Send an answer, and keep the connection until then; False where nothing can be sent."""
        try:
            sent: int = conn.sock.send(answer)
        except OSError:
            return False  # What is wrong with the connection, a thread finds out.
        if sent:
            self.nr += 1
            if sent < len(answer):
                self._send_in_thread(conn, among, answer[sent:])
            else:
                self._keep(conn, among, timeout)
        return sent > 0

    def _keep(self, conn: TConn, among: deque[TConn], timeout: float) -> None:
        conn.timeout = timeout
        if among is self.keepalived_conns:
            self._is_in_order = False
            return
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
