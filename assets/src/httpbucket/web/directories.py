"""A directory as a page, as JSON, as names, or packed."""

from __future__ import annotations

import errno
import itertools
import logging
import os
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from flask import Response, jsonify, stream_template
from werkzeug.exceptions import BadRequest

from httpbucket.domain.errors import BucketError
from httpbucket.domain.pieces import in_pieces
from httpbucket.domain.public_path import PublicPath
from httpbucket.services.browse import Browse, Shown
from httpbucket.services.entrance import REPORT_NAME
from httpbucket.services.pack import Pack
from httpbucket.services.readme import readme_of
from httpbucket.web.addresses import Addresses
from httpbucket.web.conditions import Representation, select
from httpbucket.web.content import REVALIDATE
from httpbucket.web.current import current_request
from httpbucket.web.disposition import name_it
from httpbucket.web.listing import MOST_SORTED, Order, listed_name, listing

logger = logging.getLogger(__name__)

#: Entries of a JSON page, unless the client says how many.
USUAL_LIMIT = 1000
MOST_ENTRIES = 10_000

Piece = TypeVar("Piece")

_FORMS = {"text/html": "html", "application/json": "json", "text/plain": "simple"}
PIECE = 32 * 1024


class Directories:
    """Answers for directories; the first flag of the query that is known says in which form."""

    def __init__(self, *, browse: Browse, pack: Pack, addresses: Addresses) -> None:
        self._browse = browse
        self._pack = pack
        self._addresses = addresses
        self._answers = {
            "json": self._json,
            "simple": self._simple,
            "zip": self._zip,
            "tar": self._tar,
            "html": self._html,
        }

    def answer(self, directory: Shown) -> Response:
        """The directory in the form that the request asks for."""
        form = wanted_form()
        if form != "html" and "sort" in current_request().args:
            raise BadRequest("sort is for the page; in other forms entries are in order of name.")
        response = self._answers[form](directory)
        response.headers["Cache-Control"] = REVALIDATE
        response.vary.add("Accept")
        return response

    def checksums(self, directory: Shown) -> Response:
        """The virtual ``SHA256SUMS``."""
        lines = in_pieces(self._pack.checksums(directory), PIECE)
        response = Response(_started(lines), mimetype="text/plain")
        response.headers["Cache-Control"] = REVALIDATE
        return response

    def _html(self, directory: Shown) -> Response:
        order = Order.parse(current_request().args.get("sort", str(Order())))
        entries = _started(self._browse.entries(directory))
        report = directory.path / REPORT_NAME
        page = stream_template(
            "directory.html",
            directory=directory,
            upload=self._browse.upload_of(directory),
            report=self._file_href(report) if self._browse.has_file(directory, REPORT_NAME) else "",
            readme=readme_of(self._browse, directory),
            address=self._addresses.absolute(f"{quote(str(directory.path))}/"),
            listing=listing(entries, order, self._file_href),
            most_sorted=MOST_SORTED,
        )
        return Response(in_pieces((text.encode() for text in page), PIECE), mimetype="text/html")

    def _json(self, directory: Shown) -> Response:
        limit, after = _limit(), current_request().args.get("cursor", "")
        shown, next_after = self._browse.page(directory, after=after, limit=limit)
        following = None
        if next_after is not None:
            following = f"?{urlencode({'json': '', 'limit': limit, 'cursor': next_after})}"
        entries = [entry_json(one) for one in shown]
        response = jsonify(path=str(directory.path), entries=entries, next=following)
        if following:
            response.headers["Link"] = f'<{following}>; rel="next"'
        return response

    def _simple(self, directory: Shown) -> Response:
        names = (f"{listed_name(one)}\n".encode() for one in self._browse.entries(directory))
        return Response(_started(in_pieces(names, PIECE)), mimetype="text/plain")

    def _zip(self, directory: Shown) -> Response:
        layout = self._pack.zip(directory)
        response = Response(mimetype="application/zip")
        selection = select(Representation(layout.size, layout.identity), response)
        if selection.stop > selection.start:
            pieces = self._pack.read(layout, selection.start, selection.stop)
            response.response = breaking_off(pieces)
        name_it(response, "attachment", f"{directory.path.name}.zip")
        return response

    def _tar(self, directory: Shown) -> Response:
        pieces = breaking_off(_started(self._pack.tar(directory)))
        response = Response(pieces, mimetype="application/x-tar")
        name_it(response, "attachment", f"{directory.path.name}.tar")
        return response

    def _file_href(self, path: PublicPath) -> str:
        """Relative, for programs that follow links; absolute for browsers, if need be."""
        if self._addresses.has_content_origin() and current_request().prefers_html:
            return self._addresses.content(str(path))
        return quote(path.name, safe="")


def wanted_form() -> str:
    """The form in which the request wants a directory."""
    asked = current_request()
    for flag in ("json", "simple", "zip", "tar"):
        if flag in asked.args:
            return flag
    return _FORMS[asked.accept_mimetypes.best_match(_FORMS, default="text/html")]


def entry_json(shown: Shown) -> dict[str, Any]:
    """An entry as the reference documents it."""
    facts, entry = shown.facts, shown.entry
    return {
        "name": entry.name,
        "kind": "directory" if entry.is_directory else "file",
        "size": None if entry.is_directory else entry.size,
        "media_type": None if entry.is_directory else shown.media_type,
        "digest": str(facts.blob.sha256) if facts else None,
        "modified": shown.modified.isoformat(),
        "shows": entry.target,
    }


def _limit() -> int:
    text = current_request().args.get("limit", str(USUAL_LIMIT))
    if not text.isdecimal() or len(text) > 9 or not int(text):
        raise BadRequest("limit is a whole number above 0.")
    return min(int(text), MOST_ENTRIES)


def _started(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same, but begun: what is refused at the start is refused before the answer begins."""
    rest = iter(pieces)
    return itertools.chain(list(itertools.islice(rest, 1)), rest)


def breaking_off(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same; where the answer cannot go on, the connection ends, so that the client sees it.

    A file may be deleted while it is being packed, which is nobody's fault.
    """
    try:
        yield from pieces
    except BucketError as error:
        logger.warning("A download broke off: %s", error)
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from error
