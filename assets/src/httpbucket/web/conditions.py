"""Conditional and range requests: which bytes of what we have a request wants, if any.

RFC 9110, 13.2.2 gives the order of the questions, 14.2 what a range is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from flask import Response
from werkzeug.exceptions import PreconditionFailed, RequestedRangeNotSatisfiable

from httpbucket.web.current import current_request

_SINGLE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,19})-([0-9]{0,19})[ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Representation:
    """What a request is answered from: its size in bytes, and how to know it again.

    ``etag`` is without quotes. A weak one says that somebody else could change the bytes unseen.
    """

    size: int
    etag: str
    is_weak: bool = False
    modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The bytes to send, from ``start`` to ``stop``, and the status that says so."""

    status: int
    start: int
    stop: int


def select(known: Representation, response: Response) -> Selection:
    """What the current request wants of it; writes into ``response`` what has to be said of that.

    Raises `PreconditionFailed` or `RequestedRangeNotSatisfiable`.
    """
    response.set_etag(known.etag, weak=known.is_weak)
    if known.modified:
        response.last_modified = known.modified
    response.accept_ranges = "bytes"
    selection = _select(known)
    response.status_code = selection.status
    response.content_length = selection.stop - selection.start
    if selection.status == 206:
        last = selection.stop - 1
        response.headers["Content-Range"] = f"bytes {selection.start}-{last}/{known.size}"
    return selection


def _select(known: Representation) -> Selection:
    _check_preconditions(known)
    if _is_unchanged(known):
        return Selection(304, 0, 0)
    span = _range(known)
    return Selection(206, *span) if span else Selection(200, 0, known.size)


def _check_preconditions(known: Representation) -> None:
    asked = current_request()
    if asked.headers.get("If-Match"):
        wanted = asked.if_match
        holds = wanted.star_tag or (not known.is_weak and wanted.is_strong(known.etag))
    else:
        since, modified = asked.if_unmodified_since, _to_the_second(known)
        holds = since is None or modified is None or modified <= since
    if not holds:
        raise PreconditionFailed("What is here is not what If-Match or If-Unmodified-Since names.")


def _is_unchanged(known: Representation) -> bool:
    asked = current_request()
    if asked.headers.get("If-None-Match"):
        return asked.if_none_match.contains_weak(known.etag)
    since, modified = asked.if_modified_since, _to_the_second(known)
    return since is not None and modified is not None and modified <= since


def _range(known: Representation) -> tuple[int, int] | None:
    """The one range that is asked for; None for the whole, as any other request may be answered."""
    asked = current_request()
    match = _SINGLE_RANGE.fullmatch(asked.headers.get("Range", ""))
    if asked.method != "GET" or not match or not _is_range_of_this(known):
        return None
    first, last = match.groups()
    if not first:
        return _suffix(int(last), known.size) if last else None
    if last and int(last) < int(first):
        return None
    if int(first) >= known.size:
        raise RequestedRangeNotSatisfiable(known.size)
    return int(first), min(int(last) + 1, known.size) if last else known.size


def _suffix(count: int, size: int) -> tuple[int, int] | None:
    if count == 0:
        raise RequestedRangeNotSatisfiable(size)
    return (max(size - count, 0), size) if size else None


def _is_range_of_this(known: Representation) -> bool:
    """Whether ``If-Range`` allows a range: only what is surely the same may be put together.

    That leaves out dates: two uploads within a second have the same (13.1.5, 8.8.2.2).
    """
    wanted = current_request().headers.get("If-Range")
    return wanted is None or (not known.is_weak and wanted.strip() == f'"{known.etag}"')


def _to_the_second(known: Representation) -> datetime | None:
    return known.modified.replace(microsecond=0) if known.modified else None
