"""A client of resumable uploads that can be as clumsy as a test wants."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from tests.live.server import LiveServer
from tests.live.wire import Answer, Wire, request_head

PIECE_TYPE = "application/offset+octet-stream"
VERSION = {"Tus-Resumable": "1.0.0"}


class TusUpload:
    """One upload, piece by piece, each on a connection of its own.

    ``read`` gives so many bytes from an offset.
    """

    def __init__(
        self,
        server: LiveServer,
        size: int,
        read: Callable[[int, int], bytes],
        filename: str = "large.bin",
    ) -> None:
        self._server = server
        self._size = size
        self._read = read
        said = f"filename {base64.b64encode(filename.encode()).decode()}"
        answer = server.request(
            "POST",
            "/tus/",
            headers={"Upload-Length": str(size), "Upload-Metadata": said, **VERSION},
        )
        assert answer.status == 201, answer
        self.path = answer.headers["Location"]

    def look(self) -> Answer:
        """Ask how far it is."""
        return self._server.request("HEAD", self.path, headers=VERSION)

    @property
    def offset(self) -> int:
        """How many bytes the server has."""
        answer = self.look()
        assert answer.status == 200, answer
        return int(answer.headers["Upload-Offset"])

    def head_of_piece(self, offset: int, length: int, **headers: str) -> bytes:
        """The head of a request that announces ``length`` bytes."""
        fields = {"Content-Type": PIECE_TYPE, "Upload-Offset": str(offset), **VERSION, **headers}
        return request_head("PATCH", self.path, fields | {"Content-Length": str(length)})

    def send(self, offset: int, length: int) -> Answer:
        """Send a piece, and wait for the answer."""
        piece = self._read(offset, min(length, self._size - offset))
        with self._server.connect() as wire:
            wire.send(self.head_of_piece(offset, len(piece), Accept="application/json") + piece)
            return wire.receive_answer("PATCH")

    def send_cut(self, offset: int, length: int) -> None:
        """Announce all the rest, send ``length`` bytes of it, and drop the connection."""
        with self._server.connect() as wire:
            self.stall(wire, offset, length)
            wire.reset()

    def stall(self, wire: Wire, offset: int, length: int) -> None:
        """Announce all the rest on ``wire``, send ``length`` bytes of it, and then no more."""
        head = self.head_of_piece(offset, self._size - offset)
        wire.send(head + self._read(offset, length))

    def finish(self) -> dict[str, Any]:
        """Send all the rest; the receipt."""
        answer = self.send(self.offset, self._size)
        assert answer.status == 200, answer
        return answer.json
