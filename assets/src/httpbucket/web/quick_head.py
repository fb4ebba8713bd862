"""``HEAD /checksum/<digest>`` without Flask, with the answers that Flask gives."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from flask import Flask, Response

from httpbucket.domain.digest import Digest, read_question
from httpbucket.domain.errors import BlobNotFound, InvalidDigest
from httpbucket.services.quick_ask import QuickAsk

#: How many different questions are read only once.
MOST_REMEMBERED = 4096


@dataclass(frozen=True)
class HeadAnswer:
    """What WSGI calls the status and the headers; there is no body."""

    status: str
    headers: tuple[tuple[str, str], ...]


class QuickHead:
    """Answers known and unknown alike.

    The application makes both answers once, from what its view would return or raise, so that they
    are the same on both ways. Where ``ask`` does not say whether a content is there, the question
    is left to the application.
    """

    def __init__(self, app: Flask, ask: QuickAsk, *, checksum_type: str) -> None:
        self._ask = ask
        unknown = BlobNotFound("No upload names this content.")
        self._known = made_by(app, Response(), "/checksum/0", method="HEAD")[0]
        self._unknown = made_by(app, unknown, "/checksum/0", method="HEAD")[0]
        # Bounded; what is asked for in one build is asked for in the next.
        self._read = functools.lru_cache(maxsize=MOST_REMEMBERED)(partial(_read, checksum_type))

    def answers(self, digests: Sequence[str]) -> list[HeadAnswer | None]:
        """The answers; None where the application has to be asked. Never waits."""
        questions = [self._read(digest) for digest in digests]
        told = iter(self._ask.answers([question for question in questions if question]))
        return [self._answer(next(told)) if question else None for question in questions]

    def _answer(self, is_there: bool | None) -> HeadAnswer | None:
        if is_there is None:
            return None
        return self._known if is_there else self._unknown


def _read(checksum_type: str, text: str) -> tuple[Digest, ...] | None:
    try:
        return read_question(text, preferred=checksum_type)
    except InvalidDigest:
        return None


def made_by(
    app: Flask, result: Response | Exception, path: str, **request: str
) -> tuple[HeadAnswer, bytes]:
    """What the application answers when a view returns this, or raises it; and its body."""
    with app.test_request_context(path, **request) as context:
        answer = app.handle_user_exception(result) if isinstance(result, Exception) else result
        response = app.process_response(app.make_response(answer))
        _, status, headers = response.get_wsgi_response(context.request.environ)
        return HeadAnswer(status, tuple(headers)), response.get_data()
