"""Sending a kept file: conditional requests, ranges, and headers that tame what others uploaded."""

from __future__ import annotations

from typing import BinaryIO
from urllib.parse import quote

from flask import Response
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import dump_options_header, parse_range_header
from werkzeug.wsgi import wrap_file

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.filename import safe_part
from httpbucket.web.current import current_request
from httpbucket.web.presenters import repr_digest

#: A blob never changes under its name (RFC 8246).
IMMUTABLE = "public, max-age=31536000, immutable"

#: Uploaded pages may run their scripts, but in an origin of their own that is nobody's.
CONTENT_POLICY = "sandbox allow-scripts allow-popups allow-forms; frame-ancestors 'none'"


def send_blob(content: BinaryIO, blob: Descriptor, filename: str) -> Response:
    """Answer with a blob's bytes, or 304, 206 or 416 as the request asks (RFC 9110, 13 and 14).

    Takes ``content`` over and closes it.
    """
    environ = current_request().environ
    response = Response(
        wrap_file(environ, content), mimetype=blob.media_type, direct_passthrough=True
    )
    response.call_on_close(content.close)
    response.content_length = blob.size
    response.set_etag(blob.sha256.hex)
    response.headers["Repr-Digest"] = repr_digest(blob)
    response.headers["Cache-Control"] = IMMUTABLE
    response.headers["Content-Security-Policy"] = CONTENT_POLICY
    response.headers["Content-Disposition"] = _inline(filename)
    _narrow(response, blob.size)
    return response


def _narrow(response: Response, size: int) -> None:
    """Make it a 304 or a 206 where the request asks for that and it can be done."""
    environ = dict(current_request().environ)
    if not _is_single_range(environ.get("HTTP_RANGE", ""), size):
        environ.pop("HTTP_RANGE", None)
    try:
        response.make_conditional(environ, accept_ranges=True, complete_length=size)
    except RequestedRangeNotSatisfiable:
        response.close()
        raise


def _is_single_range(header: str, size: int) -> bool:
    """Anything else is answered with the whole, as RFC 9110 (14.2) allows for any request."""
    parsed = parse_range_header(header) if current_request().method == "GET" else None
    if parsed is None or parsed.units != "bytes" or len(parsed.ranges) != 1:
        return False
    ((start, _),) = parsed.ranges
    # Of the last 500 bytes of 100, all are wanted (14.1.2); Werkzeug would refuse them.
    return start is None or start >= -size


def _inline(filename: str) -> str:
    """``Content-Disposition`` with a name for every client (RFC 6266, 4.3 and appendix D).

    Headers are ASCII: gunicorn would break the connection on anything beyond Latin-1.
    """
    name = safe_part(filename)
    plain = "".join(sign if sign.isascii() else "_" for sign in name)
    header = dump_options_header("inline", {"filename": plain})
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"
