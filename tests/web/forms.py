"""Multipart bodies byte by byte, so that they can also be wrong (RFC 7578)."""

from __future__ import annotations

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

BOUNDARY = "bdry"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
CLOSING = f"--{BOUNDARY}--\r\n".encode()


def part(
    content: bytes, *, disposition: str | bytes = 'name="file"; filename="f.txt"', more: str = ""
) -> bytes:
    """One part, with ``disposition`` after ``form-data;`` as it is, and ``more`` header lines."""
    parameters = disposition if isinstance(disposition, bytes) else disposition.encode()
    head = b"--%s\r\nContent-Disposition: form-data; %s\r\n" % (BOUNDARY.encode(), parameters)
    return head + more.encode() + b"\r\n" + content + b"\r\n"


def post(
    client: FlaskClient,
    *parts: bytes,
    closing: bytes = CLOSING,
    content_type: str | None = MULTIPART,
    headers: dict[str, str] | None = None,
) -> TestResponse:
    """POST the parts to ``/upload``."""
    body = b"".join(parts) + closing
    return client.post("/upload", data=body, content_type=content_type, headers=headers)


def upload(client: FlaskClient, content: bytes, filename: str = "f.txt") -> TestResponse:
    """POST one file as curl does."""
    return post(client, part(content, disposition=f'name="file"; filename="{filename}"'))
