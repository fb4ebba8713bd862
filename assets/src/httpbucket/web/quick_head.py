"""``HEAD /checksum/<digest>`` without Flask, with the answers that Flask gives."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, Response

from httpbucket.domain.digest import read_question
from httpbucket.domain.errors import BlobNotFound, BucketError
from httpbucket.services.quick_ask import QuickAsk


@dataclass(frozen=True)
class HeadAnswer:
    """What WSGI calls the status and the headers; there is no body."""

    status: str
    headers: tuple[tuple[str, str], ...]


class QuickHead:
    """Answers known and unknown alike.

    The application makes both answers once, from what its view would return or raise, so that they
    are the same on both ways. ``ask`` says of a content that it is there, that it is not
    (`BlobNotFound`), or anything else: then the question is left to the application.
    """

    def __init__(self, app: Flask, ask: QuickAsk, *, checksum_type: str) -> None:
        self._ask = ask
        self._checksum_type = checksum_type
        self._known = _answer_of(app, None)
        self._unknown = _answer_of(app, BlobNotFound("No upload names this content."))

    def answer(self, digest: str) -> HeadAnswer | None:
        """The answer; None when the application has to be asked. Never waits."""
        try:
            self._ask.require(read_question(digest, preferred=self._checksum_type))
        except BlobNotFound:
            return self._unknown
        except BucketError:
            return None
        return self._known


def _answer_of(app: Flask, refusal: BucketError | None) -> HeadAnswer:
    with app.test_request_context("/checksum/0", method="HEAD") as context:
        result = Response() if refusal is None else app.handle_user_exception(refusal)
        response = app.process_response(app.make_response(result))
        _, status, headers = response.get_wsgi_response(context.request.environ)
    return HeadAnswer(status, tuple(headers))
