"""Requests as bytes, made before the clock starts."""

from __future__ import annotations

_BOUNDARY = "http-bucket-benchmark"


def ask(method: str, path: str, **headers: str) -> bytes:
    """A request without a body."""
    return _head(method, path, headers)


def send(method: str, path: str, body: bytes, **headers: str) -> bytes:
    """A request with a body."""
    return send_head(method, path, len(body), **headers) + body


def send_head(method: str, path: str, size: int, **headers: str) -> bytes:
    """The head of a request whose body, of ``size`` bytes, follows."""
    return _head(method, path, {"Content-Length": str(size), **headers})


def form_around(filename: str) -> tuple[bytes, bytes, str]:
    """What comes before and after a file in a form, and the form's ``Content-Type``."""
    before = part_head(filename)
    return before, f"\r\n--{_BOUNDARY}--\r\n".encode(), FORM_TYPE


FORM_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"


def part_head(filename: str) -> bytes:
    """The head of one file in a form."""
    return (
        f"--{_BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()


def form_of(files: list[tuple[str, bytes]]) -> bytes:
    """The body of a form with several files."""
    pieces: list[bytes] = []
    for name, content in files:
        pieces += [part_head(name), content, b"\r\n"]
    return b"".join([*pieces, f"--{_BOUNDARY}--\r\n".encode()])


def upload_form(name: str, content: bytes) -> bytes:
    """A whole upload of one file by a form."""
    return send("POST", "/upload", form_of([(name, content)]), Content_Type=FORM_TYPE)


def _head(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: benchmark"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()
