"""HTTP/1.1 byte by byte: what is sent is what the test says, right or wrong."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import parse_headers
from typing import Any, Self

_BOUNDARY = "the-boundary"


@dataclass(frozen=True)
class Answer:
    """A status, the header fields, the body."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def problem(self) -> str:
        """The short name of the problem in an error's JSON."""
        return str(self.json["problem"])


class Wire:
    """A connection to a server; closed at the end of the ``with`` block."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._incoming = connection.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, piece: bytes) -> None:
        self.connection.sendall(piece)

    def send_request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole request, with the length of its body."""
        framed = {"Content-Length": str(len(body))} if body or method == "POST" else {}
        self.send(request_head(method, path, framed | dict(headers or {})) + body)

    def receive_answer(self, method: str = "GET") -> Answer:
        """Read one answer off the connection; interim ones (RFC 9110, 15.2) are passed over."""
        while True:
            line = self._incoming.readline()
            if not line.endswith(b"\n"):
                raise ConnectionResetError("the connection ended where an answer was expected")
            status = int(line.split()[1])
            headers = parse_headers(self._incoming)
            if status >= 200:
                body = self._receive_body(
                    headers, has_none=method == "HEAD" or status in {204, 304}
                )
                return Answer(status, headers, body)

    def receive_line(self) -> bytes:
        """One line, without its end."""
        return self._incoming.readline().rstrip(b"\r\n")

    def receive_rest(self) -> bytes:
        """All that comes until the peer closes."""
        try:
            return self._incoming.read()
        except ConnectionResetError:
            return b""

    def is_closed_by_peer(self) -> bool:
        """Wait for the peer to close; False when it sends something."""
        try:
            return self._incoming.read(1) == b""
        except ConnectionResetError:
            return True

    def end_sending(self) -> None:
        """Close this side only: the answer can still be read."""
        self.connection.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Drop the connection with a RST, as a client that crashes or a NAT that forgets."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self._incoming.close()
        self.connection.close()

    def _receive_body(self, headers: Message, *, has_none: bool) -> bytes:
        if has_none:
            return b""
        length = headers.get("Content-Length")
        body = self._incoming.read(-1 if length is None else int(length))
        if length is not None and len(body) < int(length):
            raise ConnectionResetError("the answer breaks off")
        return body


def request_head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """A request's line and header fields."""
    fields = {"Host": "bucket.example"} | dict(headers)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def multipart(
    content: bytes, filename: str = "results.xml", *, field: str = "file"
) -> tuple[bytes, str]:
    """A multipart body (RFC 7578) with one file, and its Content-Type."""
    start, end = multipart_frame(filename, field=field)
    return start + content + end, f"multipart/form-data; boundary={_BOUNDARY}"


def multipart_frame(filename: str = "results.xml", *, field: str = "file") -> tuple[bytes, bytes]:
    """What comes before and after the file's bytes."""
    start = (
        f"--{_BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="{field}"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return start.encode(), f"\r\n--{_BOUNDARY}--\r\n".encode()


def chunk(piece: bytes) -> bytes:
    """A chunk of a chunked body (RFC 9112, 7.1)."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def upload_halves(content: bytes) -> tuple[bytes, bytes]:
    """An upload request, cut in the middle of the file."""
    body, kind = multipart(content)
    headers = {"Content-Type": kind, "Content-Length": str(len(body))}
    middle = len(body) - len(multipart_frame()[1]) - len(content) // 2
    return request_head("POST", "/upload", headers) + body[:middle], body[middle:]
