"""Request bodies as gunicorn hands them on, made honest.

gunicorn says nothing when a client closes in the middle of a body whose length it had announced,
raises its own exceptions for bad chunks, and waits for ever for a client that sends nothing. A
refusal that leaves much of a body unread costs the client its connection, or the answer itself.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.wsgi import Response

from httpbucket.domain.errors import IncompleteBody, MalformedBody, SlowBody
from httpbucket.server.gunicorn_input import PacedInput, can_be_paced
from httpbucket.server.incoming import Incoming, Patience, is_closed
from httpbucket.server.places import Places
from httpbucket.web.request import CLIENT_GONE, HANG_UP

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: What is read of a refused body, so that the client comes to reading the answer.
DRAIN_BYTES = 16 * 1024**2
DRAIN_SECONDS = 2.0
_PIECE = 64 * 1024


_Bytes = TypeVar("_Bytes", bytes, memoryview)


class Body:
    """A body that ends where its length says, or raises.

    Raises `IncompleteBody`, `MalformedBody` or `SlowBody` from every read.
    """

    def __init__(
        self,
        source: BinaryIO,
        length: int | None,
        *,
        on_end: Callable[[bool], None] = lambda is_whole: None,
    ) -> None:
        """``on_end`` is told once whether all of it was read."""
        self._source = source
        self._length = length
        self._received = 0
        self._ended = length == 0
        self._on_end = on_end
        self.has_failed = False

    @property
    def is_finished(self) -> bool:
        """Whether all of it was read, or cannot be read."""
        return self._ended

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes, at most ``size``; empty at the end. All that is left without a size."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_PIECE), b""))
        return self._checked(self._source.read, size, b"")

    def readinto(self, room: memoryview) -> int:
        """The next bytes, into memory that there is; how many, 0 at the end."""
        return len(self._checked(lambda _: self._read_into(room), len(room), room[:0]))

    def _read_into(self, room: memoryview) -> memoryview:
        readinto = getattr(self._source, "readinto", None)
        if readinto:
            return room[: readinto(room)]
        piece = self._source.read(len(room))
        room[: len(piece)] = piece
        return room[: len(piece)]

    def readline(self, size: int = -1) -> bytes:
        """The next line, at most ``size`` bytes of it."""
        return self._checked(self._source.readline, size, b"")

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def drain(self, connection: socket.socket | Incoming | None) -> None:
        """Read and forget what is left, within bounds; then it cannot be read any more."""
        self._drain(connection)
        if not self._ended:
            self._end(is_whole=False)

    def _drain(self, connection: socket.socket | Incoming | None) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        end = self._received + DRAIN_BYTES
        with suppress(IncompleteBody, MalformedBody, SlowBody):
            while not self._ended and self._received < end:
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                if connection is not None:
                    connection.settimeout(left)
                self.read(_PIECE)

    def _checked(self, read: Callable[[int], _Bytes], size: int, nothing: _Bytes) -> _Bytes:
        if self._ended or size == 0:
            return nothing
        try:
            with _told_as_refusals():
                piece = read(size)
        except BaseException:
            self._end(is_whole=False)
            raise
        self._received += len(piece)
        if not piece or self._received == self._length:
            self._end(is_whole=self._length in {None, self._received})
        if self.has_failed:
            raise IncompleteBody(
                f"The body ended after {self._received} of {self._length} bytes; "
                "nothing was kept, send it again.",
                received=self._received,
                content_length=self._length,
            )
        return piece

    def _end(self, *, is_whole: bool) -> None:
        self._ended = True
        self.has_failed = not is_whole
        self._on_end(is_whole)


class HonestBodies:
    """A WSGI application in front of ``app``, to run under gunicorn.

    A client may fall behind ``least_rate`` bytes a second by ``idle_seconds``. ``places`` are those
    of the requests at work. ``straight`` lets bodies be read past gunicorn's buffers.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        idle_seconds: int,
        least_rate: int,
        places: Places,
        straight: bool = True,
    ) -> None:
        self._app = app
        self._idle_seconds = idle_seconds
        self._least_rate = least_rate
        self._places = places
        self._straight = straight

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        connection = environ.get("gunicorn.socket")
        if connection is not None:
            # Holds for the answer as well: who reads nothing for so long is let go.
            connection.settimeout(self._idle_seconds)
        body, patient = self._body(environ, connection)
        environ["wsgi.input"] = body
        if connection is not None:
            environ[CLIENT_GONE] = lambda: body.is_finished and is_closed(connection)
            environ[HANG_UP] = lambda: _hang_up(connection)
        answer = self._app(environ, start_response)
        if body.has_failed:
            _say_that_it_closes(start_response)
        return answer if body.is_finished else _Draining(answer, body, patient)

    def _body(
        self, environ: WSGIEnvironment, connection: socket.socket | None
    ) -> tuple[Body, socket.socket | Incoming | None]:
        """The body, and on what the time for it is set."""
        source, length = environ["wsgi.input"], _length(environ)
        if length == 0 or connection is None or not can_be_paced(source, connection):
            return Body(source, length), connection
        patience = Patience(seconds=self._idle_seconds, least_rate=self._least_rate)
        incoming = Incoming(connection, patience, self._places)
        paced = PacedInput(source, incoming, straight=self._straight)
        return Body(
            paced.stream, length, on_end=lambda is_whole: paced.end(is_whole=is_whole)
        ), incoming


class _Draining:
    """Sends the answer, then takes what the client is still sending."""

    def __init__(
        self, answer: Iterable[bytes], body: Body, connection: socket.socket | Incoming | None
    ) -> None:
        self._answer = answer
        self._body = body
        self._connection = connection

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer)

    def close(self) -> None:
        if hasattr(self._answer, "close"):
            self._answer.close()
        self._body.drain(self._connection)


def _hang_up(connection: socket.socket) -> None:
    """Whoever waits for bytes of the connection gets an end of file; it can still be answered."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


def _say_that_it_closes(start_response: StartResponse) -> None:
    """Have gunicorn announce what it will do after a body whose end is not known."""
    response = getattr(start_response, "__self__", None)
    if isinstance(response, Response):
        response.force_close()


def _length(environ: WSGIEnvironment) -> int | None:
    """The announced length; None for a chunked body, 0 where there is none (RFC 9112, 6.3)."""
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return None
    return int(cast(str, environ.get("CONTENT_LENGTH")) or 0)


@contextmanager
def _told_as_refusals() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise SlowBody("The client sent too little for too long; nothing was kept.") from error
    except NoMoreData as error:
        raise IncompleteBody("The body ended in the middle; nothing was kept.") from error
    except ParseException as error:
        raise MalformedBody(f"The chunks of the body are malformed: {error}.") from error
    except OSError as error:
        raise IncompleteBody("The connection broke; nothing was kept.") from error
