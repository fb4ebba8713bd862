"""Answers that were given, by the bytes of their requests.

A request whose very bytes were answered before is answered the same again, as long as everything
that the answer was made from is as it was.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from dataclasses import dataclass

from gunicorn.util import http_date

from httpbucket.server.plain_fields import are_of_download, have_proxies
from httpbucket.web.sent import SendAgain, Sent

#: What all of them take together, about; the rest of an answer besides its text takes 1.5 KiB.
MOST_BYTES = 8 * 1024**2
_OVERHEAD = 1536

_LINE = re.compile(rb"(?:GET|HEAD) /(?:blob|archive|replica)/[!-~]{1,2000} HTTP/1\.1\r\n")


@dataclass(frozen=True, slots=True)
class Answer:
    """The head in two parts, between which a Date belongs, and what is sent behind it."""

    before_date: bytes
    after_date: bytes
    sent: Sent


class Remembered:
    """The answers of one process; for the poller's thread alone."""

    def __init__(self, send_again: SendAgain, *, most_bytes: int = MOST_BYTES) -> None:
        self._send_again = send_again
        self._most_bytes = most_bytes
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()
        self._size = 0
        self._second = 0
        self._date = b""

    def answer_to(self, key: bytes) -> bytes | None:
        """The whole answer to a request whose key this is; None where it has to be made."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        content = self._send_again.read(answer.sent)
        if content is None:
            self._forget(key)
            return None
        self._answers.move_to_end(key)
        return b"".join((answer.before_date, self._date_now(), answer.after_date, content))

    def add(self, key: bytes, answer: Answer) -> None:
        """Remember it, and forget those that were not asked for the longest, if need be."""
        if key in self._answers:
            self._forget(key)
        self._answers[key] = answer
        self._size += _size(key, answer)
        while self._size > self._most_bytes:
            self._forget(next(iter(self._answers)))

    def _forget(self, key: bytes) -> None:
        self._size -= _size(key, self._answers.pop(key))

    def _date_now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._date = http_date(second).encode("ascii")
            self._second = second
        return self._date


def key_of(request: bytes, peer: object) -> bytes | None:
    """Under what the answer to a request may be remembered; None for one that is not plain.

    What proxies say counts or does not count, depending on the ``peer``, as gunicorn has it.
    """
    line = _LINE.match(request)
    if line is None:
        return None
    fields = request[line.end() :]
    if not are_of_download(fields):
        return None
    if have_proxies(fields):
        address = peer[0] if isinstance(peer, tuple) else peer
        return b"%b\n%b" % (str(address).encode(), request)
    return request


def _size(key: bytes, answer: Answer) -> int:
    return len(key) + len(answer.before_date) + len(answer.after_date) + _OVERHEAD
