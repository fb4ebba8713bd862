"""Keeping plain uploads in the thread that reads them, past gunicorn's parser and Flask."""

from __future__ import annotations

from typing import Any

from gunicorn.workers.gthread import TConn

from httpbucket.server.incoming import is_closed
from httpbucket.server.places import Places
from httpbucket.server.plain_upload import MOST_BYTES, PlainUploads
from httpbucket.server.whole_request import WholeRequest
from httpbucket.server.worker import PatientWorker


class KeepingWorker(PatientWorker):
    """Has ``plain_uploads`` kept that came whole; all other requests are left to gunicorn."""

    plain_uploads: PlainUploads | None = None

    def _handle_one(self, conn: TConn) -> Any:
        kept = self._keep_upload(conn, self.plain_uploads) if self.plain_uploads else None
        return super()._handle_one(conn) if kept is None else kept

    def _keep_upload(self, conn: TConn, uploads: PlainUploads) -> bool | None:
        """Answer a plain upload all of which came; None where nothing was read, as it seems.

        Waits no longer for the rest than for a client's next request.
        """
        if not self._may_keep(1, others=len(self.keepalived_conns)):
            return None
        conn.init()
        conn.sock.setblocking(False)
        places = self.places or Places(1)
        request = WholeRequest(conn, places)
        head = uploads.head_of(request.start(MOST_BYTES))
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


def _is_sent(conn: TConn, answer: bytes, *, within_seconds: float) -> bool:
    """Send an answer from a thread, and say whether the client took it."""
    try:
        sent = conn.sock.send(answer)
    except BlockingIOError:
        sent = 0
    except OSError:
        return False
    if sent < len(answer):
        conn.sock.settimeout(within_seconds)
        try:
            conn.sock.sendall(answer[sent:])
        except OSError:
            return False
    return True
