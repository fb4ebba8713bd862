"""``/checksum``: what does a producer have to send?"""

from __future__ import annotations

from flask import Blueprint, Response

from httpbucket.domain.digest import read_question
from httpbucket.services.ask import Ask
from httpbucket.services.ask_many import AskMany
from httpbucket.web.blobs import to_blob
from httpbucket.web.checksum_lists import answer_with, read_list
from httpbucket.web.current import current_request


def blueprint(*, ask: Ask, ask_many: AskMany, checksum_type: str) -> Blueprint:
    """The routes of checksums."""
    routes = Blueprint("checksums", __name__)

    @routes.get("/checksum/<digest>")
    def checksum(digest: str) -> Response:
        question = read_question(digest, preferred=checksum_type)
        if current_request().method == "HEAD":
            ask.find(question)
            return Response()
        return to_blob(ask.resolve(question))

    @routes.post("/checksum")
    def missing() -> Response:
        with ask_many.hold() as held:
            is_array = read_list(current_request(), held, preferred=checksum_type)
            marks = ask_many.missing(held)
            return answer_with(held, marks, ask_many.spool(), is_array=is_array)

    return routes


def without_body(response: Response) -> Response:
    """Say ``Content-Length: 0`` to every HEAD here, refusals too.

    ``curl -X HEAD`` takes the length for a body's and would wait for one.
    """
    asked = current_request()
    if asked.method == "HEAD" and asked.path.startswith("/checksum/"):
        response.set_data(b"")
        del response.headers["Content-Type"]
    return response
