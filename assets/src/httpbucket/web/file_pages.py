"""``?view``: a file as a page for people, on which everything that was uploaded is text."""

from __future__ import annotations

from urllib.parse import quote

from flask import Response, stream_template

from httpbucket.domain.pieces import in_pieces
from httpbucket.domain.upload import NamedBlob
from httpbucket.services.browse import Browse, Shown
from httpbucket.services.view import MOST_TESTS, is_viewable, view
from httpbucket.web.addresses import Addresses
from httpbucket.web.content import REVALIDATE
from httpbucket.web.current import current_request
from httpbucket.web.directories import PIECE
from httpbucket.web.policies import view_policy


class FilePages:
    """Answers for files with a page about them."""

    def __init__(self, *, browse: Browse, addresses: Addresses) -> None:
        self._browse = browse
        self._addresses = addresses

    def answer(self, shown: Shown) -> Response:
        """The page of a file. ``?view=text`` asks for its lines as they are."""
        as_text = current_request().args.get("view") == "text"
        href, is_elsewhere = quote(shown.path.name, safe=""), self._addresses.has_content_origin()
        page = stream_template(
            "view.html",
            shown=shown,
            size=shown.facts.blob.size if shown.facts else shown.entry.size,
            view=view(self._browse, shown, as_text=as_text),
            upload=self._browse.upload_of(shown),
            href=href,
            file=self._addresses.content(str(shown.path)) if is_elsewhere else href,
            most_tests=MOST_TESTS,
            as_text=as_text,
        )
        policy = view_policy(self._addresses.content_source)
        headers = {"Content-Security-Policy": policy, "Cache-Control": REVALIDATE}
        pieces = in_pieces((text.encode() for text in page), PIECE)
        return Response(pieces, mimetype="text/html", headers=headers)


def is_viewable_blob(named: NamedBlob) -> bool:
    """Whether a file has a page that shows what is in it."""
    return is_viewable(named.name, named.blob.media_type, named.blob.size)
