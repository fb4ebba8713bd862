"""Clients that keep a server busy until they are told to end."""

from __future__ import annotations

import itertools
from threading import Event, get_ident
from typing import Self

from tests.live.server import LiveServer, digest
from tests.live.wire import Answer, Wire, multipart


class Load:
    """Uploads and questions without pause; at the end of the ``with`` block they stop."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self._ended = Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self._ended.set()

    def upload_and_ask(self, *, keep: bool) -> int:
        """Upload new contents and ask for each until the end; how many that were.

        ``keep`` uses a connection again until the server says that it closes it.
        """
        client = _Client(self._server, keep=keep)
        for number in itertools.count():
            if self._ended.is_set():
                client.close()
                return number
            content = f"{get_ident()} {number}".encode()
            body, kind = multipart(content)
            assert client.ask("POST", "/upload", body, {"Content-Type": kind}).status == 200
            assert client.ask("HEAD", f"/checksum/{digest(content)}").status == 200
        raise AssertionError("counting never ends")


class _Client:
    """Keeps a connection for as long as both sides want it."""

    def __init__(self, server: LiveServer, *, keep: bool) -> None:
        self._server = server
        self._keep = keep
        self._wire: Wire | None = None

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        wire = self._wire = self._wire or self._server.connect()
        connection = {} if self._keep else {"Connection": "close"}
        wire.send_request(method, path, body, connection | (headers or {}))
        answer = wire.receive_answer(method)
        if not self._keep or answer.headers.get("Connection") == "close":
            self.close()
        return answer

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
        self._wire = None
