"""Sending a kept file: conditional requests, ranges, and headers that tame what others uploaded."""

from __future__ import annotations

import unicodedata
from typing import BinaryIO
from urllib.parse import quote

from flask import Response
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import parse_range_header
from werkzeug.wsgi import wrap_file

from httpbucket.domain.blob import Descriptor
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
    response.headers.set("Content-Disposition", "inline", **_disposition(filename))
    _narrow(response, blob.size)
    return response


def _disposition(filename: str) -> dict[str, str]:
    """The name for browsers, and for those that know only ASCII (RFC 6266, 4.3 and appendix D)."""
    if filename.isascii():
        return {"filename": filename}
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    encoded = quote(filename, safe="!#$&+-.^_`|~", errors="replace")
    return {"filename": plain, "filename*": f"UTF-8''{encoded}"}


def _narrow(response: Response, size: int) -> None:
    """Make it a 304 or a 206 where the request asks for that and it can be done."""
    environ = dict(current_request().environ)
    if not _is_single_range(environ.get("HTTP_RANGE", "")):
        environ.pop("HTTP_RANGE", None)
    try:
        response.make_conditional(environ, accept_ranges=True, complete_length=size)
    except RequestedRangeNotSatisfiable:
        response.close()
        raise


def _is_single_range(header: str) -> bool:
    """Anything else is answered with the whole, as RFC 9110 (14.2) allows for any request."""
    if current_request().method != "GET":
        return False
    parsed = parse_range_header(header)
    return parsed is not None and parsed.units == "bytes" and len(parsed.ranges) == 1
