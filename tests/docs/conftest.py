"""A real server for the lines that the documentation shows."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT

SERVE = ("-m", "httpbucket", "serve")

_START_SECONDS = 20.0
_STOP_SECONDS = 20.0


class LiveServer:
    """``http-bucket serve``, or another way to start it, on a port and a store of its own."""

    def __init__(
        self, place: Path, environ: Mapping[str, str], start: Sequence[str], source: Path
    ) -> None:
        self.store = place / "store"
        self._command = [sys.executable, *start]
        self._log = place / "server.log"
        self._environ = {
            **os.environ,
            "PYTHONPATH": str(source),
            "HOST": "127.0.0.1",
            "PORT": str(free_port()),
            "WEB_CONCURRENCY": "1",
            "ARCHIVE_DIR": str(self.store),
            **environ,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the server answers."""
        host = "[::1]" if ":" in self._environ["HOST"] else "127.0.0.1"
        port = self._environ["PORT"].partition(",")[0]
        return f"http://{host}:{port}{self._environ.get('SCRIPT_NAME', '')}"

    @property
    def log(self) -> str:
        """What the server said so far."""
        return self._log.read_text()

    def start(self) -> None:
        """Start it, and return when it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environ,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
            )
        until(self._answers, seconds=_START_SECONDS, otherwise=lambda: self.log)

    def stop(self) -> None:
        """Stop it, if it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        finally:
            # Workers too, should they outlive their parent.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def upload(self, content: bytes, filename: str) -> dict[str, Any]:
        """The receipt for a file."""
        disposition = f'Content-Disposition: form-data; name="file"; filename="{filename}"'
        body = b"--limit\r\n%b\r\n\r\n%b\r\n--limit--\r\n" % (disposition.encode(), content)
        headers = {"Content-Type": "multipart/form-data; boundary=limit"}
        request = urllib.request.Request(f"{self.url}/upload", body, headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            receipt: dict[str, Any] = json.load(answer)
        return receipt

    def get(self, path: str) -> bytes:
        """The body of the answer. Raises urllib's errors."""
        return fetch(self.url + path)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            return self.get("/ping") == b"pong\n"
        except (urllib.error.URLError, ConnectionError):
            return False


StartServer = Callable[..., LiveServer]


def fetch(url: str) -> bytes:
    """The body of what the address answers. Raises urllib's errors."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        body: bytes = answer.read()
    return body


def free_port() -> int:
    """A port of the loopback that nobody has at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def until(
    holds: Callable[[], bool], *, seconds: float, otherwise: Callable[[], str] = lambda: "too late"
) -> None:
    """Return when ``holds()``, and fail with what ``otherwise()`` says after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.02)


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers with variables beside the usual ones, and stops them at the end."""
    servers: list[LiveServer] = []

    def start(
        environ: Mapping[str, str] | None = None,
        *,
        start: Sequence[str] = SERVE,
        source: Path = ROOT / "assets" / "src",
    ) -> LiveServer:
        server = LiveServer(tmp_path, environ or {}, start, source)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(start_server: StartServer) -> LiveServer:
    """A server with the defaults, and the template that the README names."""
    return start_server({"REPLICATE_0": "user/${USERNAME}/${TOPIC}"})
