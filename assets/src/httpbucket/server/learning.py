"""Learning an answer while the application gives it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from httpbucket.server.plain_head import write_head
from httpbucket.server.remembered import Answer
from httpbucket.web.quick_head import HeadAnswer
from httpbucket.web.sent import TELL_SENT, Sent

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_DATE = b"\r\nDate: "


@dataclass(slots=True)
class Heard:
    """What was said of one answer; all of it, if it can be given again."""

    method: str = ""
    head: HeadAnswer | None = None
    sent: Sent | None = None

    def tell(self, sent: Sent) -> None:
        """Note what the answer is made from."""
        self.sent = sent


class Learner:
    """A WSGI application that is listened to, where a thread asked for that."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._here = threading.local()

    @contextmanager
    def listening(self) -> Iterator[Heard]:
        """Meanwhile what this thread's request is answered is noted."""
        heard = self._here.heard = Heard()
        try:
            yield heard
        finally:
            del self._here.heard

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        heard: Heard | None = getattr(self._here, "heard", None)
        if heard is None:
            return self._application(environ, start_response)
        heard.method = environ["REQUEST_METHOD"]
        environ[TELL_SENT] = heard.tell
        return self._application(environ, _noting(heard, start_response))


def _noting(heard: Heard, start_response: StartResponse) -> StartResponse:
    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
        heard.head = HeadAnswer(status, tuple(headers))
        return start_response(status, headers, *rest)

    return start


def answer_of(heard: Heard, *, asked_at: float, cfg: Any) -> Answer | None:
    """The answer to be given again; None where it may not be.

    ``asked_at`` is when the request came, in Unix time.
    """
    sent = heard.sent
    if sent is None or heard.head is None or not sent.had_settled(before=asked_at):
        return None
    length = dict(heard.head.headers).get("Content-Length")
    if sent.size and length != str(sent.size):
        return None
    written = write_head(heard.head, heard.method, cfg)
    before, date, rest = written.partition(_DATE)
    return Answer(before + date, rest[rest.index(b"\r\n") :], sent)
