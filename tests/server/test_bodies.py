"""Bodies end where they said they would, or say what was wrong."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from gunicorn.http.errors import (
    ChunkMissingTerminator,
    InvalidChunkExtension,
    InvalidChunkSize,
    NoMoreData,
)

from httpbucket.domain.errors import BucketError, IncompleteBody, MalformedBody, SlowBody
from httpbucket.server import bodies
from httpbucket.server.bodies import DRAIN_BYTES, Body, HonestBodies
from httpbucket.server.places import Places

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CONTENT = b"line one\nline two\nthe rest"


class Breaking(io.BytesIO):
    """Gives its bytes, and then raises instead of ending."""

    def __init__(self, content: bytes, error: BaseException) -> None:
        super().__init__(content)
        self._error = error

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        if not piece:
            raise self._error
        return piece

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line:
            raise self._error
        return line


class Dripping(io.BytesIO):
    """Gives few bytes a read, as sockets do, and counts them."""

    given = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(min(size, 5) if size and size > 0 else size)
        self.given += len(piece)
        return piece


class FakeConnection:
    """Remembers its time-outs."""

    def __init__(self) -> None:
        self.timeouts: list[float] = []

    def settimeout(self, seconds: float) -> None:
        self.timeouts.append(seconds)


class TestReading:
    @pytest.mark.parametrize("length", [len(CONTENT), None])
    def test_a_whole_body_is_read_as_it_is(self, length: int | None) -> None:
        body = Body(Dripping(CONTENT), length)
        pieces = list(iter(lambda: body.read(7), b""))
        assert b"".join(pieces) == CONTENT
        assert body.is_finished

    @pytest.mark.parametrize("source", [io.BufferedReader, SimpleNamespace])
    def test_a_body_is_read_into_memory_that_there_is(self, source: Callable[..., Any]) -> None:
        content = io.BytesIO(CONTENT)
        plain = source is SimpleNamespace
        body = Body(source(read=content.read) if plain else source(content), len(CONTENT))
        room, came = memoryview(bytearray(7)), b""
        while count := body.readinto(room):
            came += room[:count]
        assert came == CONTENT
        assert body.is_finished

    def test_memory_is_filled_no_further_than_a_body_that_breaks_off(self) -> None:
        body = Body(io.BytesIO(CONTENT), 100)
        room = memoryview(bytearray(1000))
        assert body.readinto(room) == len(CONTENT)
        with pytest.raises(IncompleteBody):
            body.readinto(room)

    @pytest.mark.parametrize("length", [len(CONTENT), None])
    def test_a_whole_body_is_read_at_once(self, length: int | None) -> None:
        body = Body(Dripping(CONTENT), length)
        assert body.read() == CONTENT
        assert body.read() == b""
        assert body.is_finished

    def test_lines_are_read_one_by_one(self) -> None:
        body = Body(io.BytesIO(CONTENT), len(CONTENT))
        assert body.readline() == b"line one\n"
        assert body.readline(4) == b"line"
        assert list(body) == [b" two\n", b"the rest"]

    def test_reading_nothing_is_not_the_end(self) -> None:
        body = Body(io.BytesIO(CONTENT), len(CONTENT))
        assert body.read(0) == b""
        assert not body.is_finished
        assert body.read(4) == b"line"

    def test_no_body_is_finished_at_once(self) -> None:
        assert Body(io.BytesIO(b"the next request"), 0).is_finished

    def test_a_body_of_known_length_is_finished_without_asking_for_more(self) -> None:
        body = Body(Breaking(CONTENT, TimeoutError()), len(CONTENT))
        assert body.read(len(CONTENT)) == CONTENT
        assert body.is_finished
        assert body.read(1) == b""


class TestEndingEarly:
    def test_a_short_body_is_incomplete(self) -> None:
        body = Body(io.BytesIO(b"12345"), 1000)
        assert body.read(100) == b"12345"
        with pytest.raises(IncompleteBody) as raised:
            body.read(100)
        assert raised.value.detail == {"received": 5, "content_length": 1000}
        assert body.is_finished

    def test_a_short_body_that_is_read_at_once_is_incomplete(self) -> None:
        with pytest.raises(IncompleteBody):
            Body(io.BytesIO(b"12345"), 1000).read()

    def test_a_short_body_that_is_read_by_lines_is_incomplete(self) -> None:
        with pytest.raises(IncompleteBody):
            list(Body(io.BytesIO(b"a\nb"), 1000))

    def test_a_chunked_body_without_its_last_chunk_is_incomplete(self) -> None:
        body = Body(Breaking(b"12345", NoMoreData()), None)
        assert body.read(100) == b"12345"
        with pytest.raises(IncompleteBody):
            body.read(100)

    @pytest.mark.parametrize("error", [ConnectionResetError(), BrokenPipeError(), OSError()])
    def test_a_broken_connection_makes_it_incomplete(self, error: OSError) -> None:
        with pytest.raises(IncompleteBody, match="The connection broke"):
            Body(Breaking(b"", error), 10).read(10)

    @pytest.mark.parametrize(
        "error",
        [InvalidChunkSize(b"xyz"), ChunkMissingTerminator(b"xy"), InvalidChunkExtension("")],
    )
    def test_bad_chunks_are_malformed(self, error: Exception) -> None:
        with pytest.raises(MalformedBody, match="The chunks of the body are malformed"):
            Body(Breaking(b"", error), None).read(10)

    def test_silence_is_slow(self) -> None:
        with pytest.raises(SlowBody):
            Body(Breaking(b"", TimeoutError()), 10).read(10)

    def test_after_an_error_nothing_more_is_read(self) -> None:
        source = Breaking(b"", TimeoutError())
        body = Body(source, 10)
        with pytest.raises(SlowBody):
            body.read(10)
        assert body.is_finished
        assert body.read(10) == b""


class TestTelling:
    """Whoever lends the connection learns once whether the body was read to its end."""

    def test_a_whole_body(self) -> None:
        told: list[bool] = []
        body = Body(io.BytesIO(CONTENT), len(CONTENT), on_end=told.append)
        body.read()
        body.read()
        assert told == [True]

    @pytest.mark.parametrize("length", [5, None])
    def test_a_body_that_breaks(self, length: int | None) -> None:
        told: list[bool] = []
        body = Body(Breaking(b"", TimeoutError()), length, on_end=told.append)
        with pytest.raises(SlowBody):
            body.read()
        assert told == [False]

    def test_a_body_that_is_short(self) -> None:
        told: list[bool] = []
        with pytest.raises(IncompleteBody):
            Body(io.BytesIO(b"1"), 5, on_end=told.append).read()
        assert told == [False]

    @pytest.mark.parametrize(("size", "is_whole"), [(5, True), (DRAIN_BYTES + 1, False)])
    def test_a_body_that_is_drained(self, size: int, is_whole: bool) -> None:
        told: list[bool] = []
        Body(io.BytesIO(bytes(size)), size, on_end=told.append).drain(None)
        assert told == [is_whole]


class TestDraining:
    def test_what_is_left_is_read_and_forgotten(self) -> None:
        source = Dripping(CONTENT)
        Body(source, len(CONTENT)).drain(None)
        assert source.given == len(CONTENT)

    def test_it_ends_after_so_many_bytes(self) -> None:
        source = io.BytesIO(bytes(DRAIN_BYTES * 2))
        body = Body(source, DRAIN_BYTES * 2)
        body.drain(None)
        assert source.tell() == DRAIN_BYTES
        assert body.has_failed

    def test_it_ends_after_so_many_seconds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = iter([100.0, 100.5, 101.9, 102.0])
        monkeypatch.setattr(bodies, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        source, connection = Dripping(CONTENT), FakeConnection()
        Body(source, len(CONTENT)).drain(connection)  # type: ignore[arg-type]
        assert source.given == 10
        assert connection.timeouts == [pytest.approx(1.5), pytest.approx(0.1)]

    @pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), NoMoreData()])
    def test_a_client_that_is_gone_is_no_error(self, error: OSError) -> None:
        Body(Breaking(b"12345", error), 1000).drain(None)


class Answer:
    """A response that notes in ``steps`` when it is closed."""

    def __init__(self, steps: list[str]) -> None:
        self._steps = steps

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"refused"])

    def close(self) -> None:
        self._steps.append("closed")


class Noting(io.BytesIO):
    """A body that notes in ``steps`` when it is read."""

    def __init__(self, content: bytes, steps: list[str]) -> None:
        super().__init__(content)
        self._steps = steps

    def read(self, size: int | None = -1, /) -> bytes:
        self._steps.append("read")
        return super().read(size)


def call(
    app: Callable[[dict[str, Any], StartResponse], Iterable[bytes]],
    source: io.BytesIO,
    **environ: object,
) -> Iterable[bytes]:
    def start_response(*args: object) -> Callable[[bytes], object]:
        return lambda piece: None

    bodies = HonestBodies(app, idle_seconds=60, least_rate=1024, places=Places(1))
    return bodies({"wsgi.input": source, **environ}, start_response)


class TestApplications:
    def test_an_app_reads_the_body_and_answers_as_it_would_alone(self) -> None:
        answer = [b"thanks"]

        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            assert environ["wsgi.input"].read() == CONTENT
            return answer

        assert call(app, io.BytesIO(CONTENT), CONTENT_LENGTH=str(len(CONTENT))) is answer

    @pytest.mark.parametrize("environ", [{}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "0"}])
    def test_a_request_without_a_body_is_not_drained(self, environ: dict[str, str]) -> None:
        answer = [b"pong"]
        assert call(lambda *args: answer, io.BytesIO(b"the next request"), **environ) is answer

    def test_a_chunked_body_has_no_length(self) -> None:
        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            return [environ["wsgi.input"].read()]

        environ = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "3"}
        assert list(call(app, io.BytesIO(CONTENT), **environ)) == [CONTENT]

    def test_a_refused_body_is_read_after_the_answer_and_its_close(self) -> None:
        steps: list[str] = []
        source = Noting(CONTENT, steps)
        answer = call(lambda *args: Answer(steps), source, CONTENT_LENGTH=str(len(CONTENT)))
        assert list(answer) == [b"refused"]
        assert steps == []
        answer.close()  # type: ignore[attr-defined]
        assert steps == ["closed", "read"]
        assert source.tell() == len(CONTENT)

    def test_a_plain_list_can_be_the_answer_to_a_refused_body(self) -> None:
        source = io.BytesIO(CONTENT)
        answer = call(lambda *args: [b"refused"], source, CONTENT_LENGTH=str(len(CONTENT)))
        assert list(answer) == [b"refused"]
        answer.close()  # type: ignore[attr-defined]
        assert source.tell() == len(CONTENT)

    def test_the_connection_waits_only_so_long_for_the_client(self) -> None:
        connection = FakeConnection()
        call(lambda *args: [], io.BytesIO(), **{"gunicorn.socket": connection})
        assert connection.timeouts == [60]

    def test_a_silent_client_is_told_from_a_real_socket(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs, ours.makefile("rb") as source:
            ours.settimeout(0.01)
            theirs.sendall(b"12345")
            body = Body(source, 10)
            with pytest.raises(BucketError) as raised:
                body.read(10)
        assert isinstance(raised.value, SlowBody)
