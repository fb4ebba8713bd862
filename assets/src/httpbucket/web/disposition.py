"""Telling the name under which a client may keep what it gets (RFC 6266)."""

from __future__ import annotations

from urllib.parse import quote

from flask import Response

from httpbucket.domain.filename import safe_part


def name_it(response: Response, kind: str, filename: str) -> None:
    """Say ``inline`` or ``attachment`` with a filename; a field of HTTP holds only ASCII.

    Other letters go into ``filename*`` (RFC 8187); others get ``_`` for each of them.
    """
    filename = safe_part(filename)
    plain = "".join(sign if sign.isascii() else "_" for sign in filename)
    parameters = {"filename": plain}
    if plain != filename:
        extended = quote(filename, safe="!#$&+-.^_`|~", errors="replace")
        parameters["filename*"] = f"UTF-8''{extended}"
    response.headers.set("Content-Disposition", kind, **parameters)
