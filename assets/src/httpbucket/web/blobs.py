"""``/blob/…``: the bytes of a content, for ever under its SHA-256."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, url_for
from werkzeug.exceptions import NotFound

from httpbucket.domain.digest import Digest, read_question, sha256
from httpbucket.services.browse import Browse
from httpbucket.services.lookup import Lookup
from httpbucket.services.see_again import Seen
from httpbucket.web.content import Content, ContentSender, blob_content


def blueprint(
    *, lookup: Lookup, browse: Browse, sender: ContentSender, checksum_type: str
) -> Blueprint:
    """The routes of contents."""
    routes = Blueprint("blobs", __name__)

    def send(blob: Digest, content: Content, see: Callable[[], Seen | None]) -> Response:
        return sender.send(content, lambda: browse.content(blob), see)

    @routes.get("/blob/<digest>")
    def by_digest(digest: str) -> Response:
        question = read_question(digest, preferred=checksum_type)
        known = lookup.describe(*question)
        blob = known.blob.sha256
        if blob.hex != digest:
            return to_blob(blob)
        content = blob_content(known.blob, known.filename)
        return send(blob, content, lambda: browse.see_content(known))

    @routes.get("/blob/<first>/<second>/<digest>")
    def by_path(first: str, second: str, digest: str) -> Response:
        blob = sha256(digest)
        if (first, second) != (digest[:2], digest[2:4]) or blob not in _asked(digest):
            raise NotFound
        known = lookup.describe(blob)
        content = blob_content(known.blob, known.filename)
        return send(blob, content, lambda: browse.see_content(known))

    return routes


def to_blob(blob: Digest) -> Response:
    """Send the client on to the one address of a content; without a body."""
    return Response(status=302, headers={"Location": url_for("blobs.by_digest", digest=blob.hex)})


def _asked(digest: str) -> tuple[Digest, ...]:
    return read_question(digest, preferred="sha256")
