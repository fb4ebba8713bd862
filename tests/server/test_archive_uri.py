"""The location that receipts point to is looked at once; a warning tells when it is not there."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from httpbucket.server.archive_uri import look_in_background, trouble_with

#: Long enough for an answer on the loopback interface, short where none comes.
PATIENCE_SECONDS = 5.0
IMPATIENCE_SECONDS = 0.2


@pytest.fixture
def start_web_server() -> Iterator[Callable[[HTTPStatus], str]]:
    """Starts web servers that answer everything alike; gives their address."""
    servers: list[tuple[HTTPServer, threading.Thread]] = []

    def start(status: HTTPStatus) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("status", [200, 204, 401, 403, 404, 405, 501])
def test_a_web_server_that_answers_is_there(
    start_web_server: Callable[[HTTPStatus], str], status: int
) -> None:
    assert trouble_with(start_web_server(HTTPStatus(status))) is None


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_web_server_in_trouble_is_told(
    start_web_server: Callable[[HTTPStatus], str], status: int
) -> None:
    trouble = trouble_with(start_web_server(HTTPStatus(status)))
    assert trouble == f"HTTP Error {status}: {HTTPStatus(status).phrase}"


def test_a_port_where_nobody_listens_is_told() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        trouble = trouble_with(f"http://127.0.0.1:{bound.getsockname()[1]}/bucket")
    assert trouble is not None
    assert "refused" in trouble


def test_a_silent_server_is_waited_for_not_longer_than_patience(silent: str) -> None:
    trouble = trouble_with(silent, patience_seconds=IMPATIENCE_SECONDS)
    assert trouble is not None
    assert "timed out" in trouble


def test_a_server_that_does_not_speak_http_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_say_nonsense, args=(listener,))
        thread.start()
        assert trouble_with(f"http://127.0.0.1:{listener.getsockname()[1]}") is not None
        thread.join()


@pytest.mark.parametrize("uri", ["http://a b/", "http://host:port/", "http://bücher.example:x"])
def test_an_address_that_cannot_be_asked_is_told(uri: str) -> None:
    assert trouble_with(uri) is not None


def test_a_directory_is_there_when_it_is_one(tmp_path: Path) -> None:
    place = tmp_path / "a b%41"
    place.mkdir()
    (tmp_path / "file").touch()
    assert trouble_with(str(place)) is None
    assert trouble_with((tmp_path / "a b%41").as_uri()) is None
    for missing in (tmp_path / "none", tmp_path / "file", tmp_path / "file" / "inside"):
        assert trouble_with(str(missing)) == "no such directory"
        assert trouble_with(missing.as_uri()) == "no such directory"


def test_looking_does_not_delay_and_ends_in_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        look_in_background(f"{tmp_path}/none")
        _wait_for_looking()
    assert caplog.messages == [
        f"ARCHIVE_URI {tmp_path}/none does not answer (no such directory); "
        "receipts point there all the same."
    ]


@pytest.mark.parametrize("uri", ["", "/"])
def test_nothing_is_said_of_a_location_that_is_there_or_not_set(
    uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    look_in_background(uri)
    _wait_for_looking()
    assert caplog.messages == []


def _wait_for_looking() -> None:
    for thread in threading.enumerate():
        if thread.name == "archive-uri":
            thread.join(PATIENCE_SECONDS)


def _say_nonsense(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"220 mail.example ESMTP\r\n")
