"""``?view``: a file as a page for people, on which everything that was uploaded is text."""

from __future__ import annotations

from urllib.parse import quote

from flask import Response, stream_template

from httpbucket.domain.upload import NamedBlob
from httpbucket.services.browse import Browse, Shown
from httpbucket.services.view import MOST_TESTS, is_viewable, view
from httpbucket.web.content import REVALIDATE
from httpbucket.web.current import current_request
from httpbucket.web.directories import in_pieces

#: Beside our style sheet, such a page loads nothing but the image that it shows.
VIEW_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class FilePages:
    """Answers for files with a page about them."""

    def __init__(self, *, browse: Browse) -> None:
        self._browse = browse

    def answer(self, shown: Shown) -> Response:
        """The page of a file. ``?view=text`` asks for its lines as they are."""
        as_text = current_request().args.get("view") == "text"
        page = stream_template(
            "view.html",
            shown=shown,
            size=shown.facts.blob.size if shown.facts else shown.entry.size,
            view=view(self._browse, shown, as_text=as_text),
            upload=self._browse.upload_of(shown),
            href=quote(shown.path.name, safe=""),
            most_tests=MOST_TESTS,
            as_text=as_text,
        )
        headers = {"Content-Security-Policy": VIEW_POLICY, "Cache-Control": REVALIDATE}
        pieces = in_pieces(text.encode() for text in page)
        return Response(pieces, mimetype="text/html", headers=headers)


def is_viewable_blob(named: NamedBlob) -> bool:
    """Whether a file has a page that shows what is in it."""
    return is_viewable(named.name, named.blob.media_type, named.blob.size)
