"""The worker that ships: a plain HEAD of a checksum, or what was asked before, needs no thread.

Most of what such a question costs is gunicorn's handing the connection from its poller to a thread
and back. Whoever asks it this way is answered where the connection is read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import repeat
from typing import Any

from gunicorn.workers.gthread import TConn

from httpbucket.server.gathering import GatheringWorker
from httpbucket.server.keeping import KeepingWorker
from httpbucket.server.learning import Learner, answer_of
from httpbucket.server.plain_head import PlainHead
from httpbucket.server.remembered import Answer, Remembered, key_of


class QuickWorker(GatheringWorker, KeepingWorker):
    """Answers in the poller's thread what ``plain_head`` answers, when nothing has to wait.

    And what is ``remembered``, by the ``learner``. Everything else goes to a thread, with the bytes
    that came.
    """

    plain_head: PlainHead | None = None
    remembered: Remembered | None = None
    learner: Learner | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # What was asked on connections that are with a thread, and what is learned from it.
        self._asked: dict[TConn, tuple[bytes, float]] = {}
        self._learned: dict[TConn, tuple[bytes, Answer]] = {}

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

    def answers_apart(self) -> bool:
        """Whether anything is answered without a thread."""
        return bool(self.plain_head or self.remembered)

    def answers(self, asked: Sequence[tuple[TConn, bytes]]) -> Iterator[bytes | None]:
        """The answers, each made when it is taken; None for what a thread has to answer."""
        heads: Iterable[bytes | None] = repeat(None)
        if self.plain_head:
            heads = self.plain_head.answers_to([request for _, request in asked])
        for (conn, request), head in zip(asked, heads, strict=False):
            yield head or self._again(conn, request)

    def _again(self, conn: TConn, request: bytes) -> bytes | None:
        if self.remembered is None or (key := key_of(request, conn.client)) is None:
            return None
        answer = self.remembered.answer_to(key)
        if answer is None:
            self._asked[conn] = (key, time.time())
        return answer
