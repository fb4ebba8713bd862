"""``GET /uploads``: reading what is looked for from the query, and telling what was found."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, jsonify
from werkzeug.exceptions import BadRequest

from httpbucket.domain.digest import read_question
from httpbucket.domain.errors import UploadNotFound
from httpbucket.domain.search import UploadFilter
from httpbucket.domain.upload import Record, UploadId
from httpbucket.services.search import Search, SearchPage
from httpbucket.web.current import current_request
from httpbucket.web.presenters import Presenter
from httpbucket.web.receipts import with_page

#: Uploads of a JSON page, unless the client says how many.
USUAL_LIMIT = 50
MOST_UPLOADS = 1000

HEADER_PREFIX = "header."
_PARAMETERS = ("name", "digest", "since", "limit", "cursor")


def blueprint(*, search: Search, present: Presenter) -> Blueprint:
    """The route of the search."""
    routes = Blueprint("search", __name__)

    @routes.get("/uploads")
    def uploads() -> Response:
        _refuse_unknown()
        limit = _limit()
        found = find(search, present.settings.checksum_type, limit=limit)
        following = next_query(found)
        answer = jsonify(
            uploads=[_found_json(record, present) for record in found.records],
            next=following,
            complete=found.is_complete,
        )
        if following:
            answer.headers["Link"] = f'<{following}>; rel="next"'
        return answer

    return routes


def find(search: Search, checksum_type: str, *, limit: int) -> SearchPage:
    """What the request's query looks for. Raises BadRequest and `InvalidDigest`."""
    digest = _said("digest")
    return search.find(
        UploadFilter(name=_said("name"), headers=_headers(), since=_since()),
        digest=read_question(digest, preferred=checksum_type) if digest else (),
        before=_cursor(),
        limit=limit,
    )


def next_query(found: SearchPage) -> str | None:
    """The query that goes on where this answer ended."""
    if found.next_before is None:
        return None
    asked = current_request().args.items(multi=True)
    kept = [(name, value) for name, value in asked if value.strip() and name != "cursor"]
    return f"?{urlencode([*kept, ('cursor', found.next_before)], quote_via=quote)}"


def is_searching() -> bool:
    """Whether the request's query narrows what is shown."""
    return bool(_headers()) or any(_said(name) for name in ("name", "digest", "since"))


def _found_json(record: Record, present: Presenter) -> dict[str, Any]:
    """An upload as the reference documents it."""
    shown = with_page(current_request().base, present.upload(record))
    return {
        **shown["upload"],
        "received": record.received.isoformat(),
        "headers": dict(record.headers),
        "path": shown["path"],
    }


def _refuse_unknown() -> None:
    for name in current_request().args:
        if name not in _PARAMETERS and not _header_name(name):
            raise BadRequest(
                f"There is no parameter {name[:80]!r}; "
                f"expected {', '.join(_PARAMETERS)} or {HEADER_PREFIX}<name of a header>."
            )


def _headers() -> dict[str, str]:
    asked = ((_header_name(name), _said(name)) for name in current_request().args)
    return {name: value for name, value in asked if name and value}


def _header_name(parameter: str) -> str:
    name = parameter.lower()
    return name.removeprefix(HEADER_PREFIX) if name.startswith(HEADER_PREFIX) else ""


def _said(name: str) -> str:
    values = [value.strip() for value in current_request().args.getlist(name)]
    if len(values) > 1:
        raise BadRequest(f"{name[:80]} is given {len(values)} times; give it once.")
    return values[0] if values else ""


def _since() -> datetime | None:
    text = _said("since")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(
            f"since is {text[:80]!r}; expected a day or a time as ISO 8601 writes it, "
            "for example 2026-11-21 or 2026-11-21T14:30:00Z (a plus sign as %2B)."
        ) from None


def _cursor() -> str:
    text = _said("cursor")
    if not text:
        return ""
    try:
        return str(UploadId.parse(text))
    except UploadNotFound:
        raise BadRequest("cursor is not one that an earlier answer gave.") from None


def _limit() -> int:
    text = _said("limit") or str(USUAL_LIMIT)
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or not int(text):
        raise BadRequest("limit is a whole number above 0.")
    return min(int(text), MOST_UPLOADS)
