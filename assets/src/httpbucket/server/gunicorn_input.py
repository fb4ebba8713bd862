"""gunicorn's body of a request, read with a patience that ends, and past its buffers.

gunicorn's reader collects up to a megabyte in memory and copies what is left of it on every read.
Where the length of a body is known, it is read from the connection here, after what came with the
head. gunicorn is told what is left, and so finds the next request.
"""

from __future__ import annotations

import io
import socket
import ssl
from typing import Any, BinaryIO, cast

from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.unreader import SocketUnreader

from httpbucket.server.incoming import Incoming
from httpbucket.server.tested_gunicorn import untested_version

_BUFFER = 64 * 1024


class PacedInput:
    """A body of gunicorn's whose bytes come through `Incoming`; ``stream`` reads it."""

    def __init__(self, body: Any, incoming: Incoming, *, straight: bool) -> None:
        self._body = body
        self._unreader = _unreader_of(body)
        self._connection = self._unreader.sock
        if straight and isinstance(body.reader, LengthReader):
            raw = StraightReader(body.reader, incoming)
            self.stream = cast(BinaryIO, io.BufferedReader(raw, _BUFFER))
        else:
            self._unreader.sock = incoming
            self.stream = body

    def end(self, *, is_whole: bool) -> None:
        """Give the connection back. What was not read to its end, gunicorn need not try either."""
        self._unreader.sock = self._connection
        if not is_whole:
            self._body.failed = True


class StraightReader(io.RawIOBase):
    """What gunicorn has read of a body already, and then the connection."""

    def __init__(self, reader: Any, incoming: Incoming) -> None:
        super().__init__()
        self._reader = reader
        self._incoming = incoming
        came = reader.unreader.take_buffered()
        self._came = memoryview(came)[: reader.length]
        # What came behind the body is the next request's.
        reader.unreader.unread(came[reader.length :])

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, within the body; 0 at its end, or where the client ended it."""
        view = memoryview(buffer)[: self._reader.length]
        if not view:
            return 0
        if self._came:
            count = min(len(view), len(self._came))
            view[:count] = self._came[:count]
            self._came = self._came[count:]
        else:
            count = self._incoming.recv_into(view)
        self._reader.length -= count
        return count


def can_be_paced(body: object, connection: object) -> bool:
    """Whether ``body`` is one of a gunicorn that we know, on a connection without TLS."""
    return (
        untested_version() is None
        and isinstance(connection, socket.socket)
        and not isinstance(connection, ssl.SSLSocket)
        and isinstance(body, Body)
        and isinstance(body.reader, LengthReader | ChunkedReader)
        and isinstance(_unreader_of(body), SocketUnreader)
    )


def _unreader_of(body: Any) -> Any:
    reader = body.reader
    return reader.unreader if isinstance(reader, LengthReader) else reader.req.unreader
