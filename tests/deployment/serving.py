"""Real servers on the loopback interface: ours, and any other that is started by a command."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deployment.dockerfile import ROOT

#: Guards only: far beyond what a loaded machine takes.
_START_SECONDS = 30.0
_STOP_SECONDS = 60.0
_BOUNDARY = "a-boundary-that-no-content-has"


@dataclass(frozen=True)
class Answer:
    """What a server said, with the names of fields in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(
    port: int,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send the path as it is given, dots and all."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_START_SECONDS)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, response.read())
    finally:
        connection.close()


def upload(port: int, filename: str, content: bytes) -> dict[str, Any]:
    """Upload a file; the receipt."""
    disposition = f'Content-Disposition: form-data; name="file"; filename="{filename}"'
    body = f"--{_BOUNDARY}\r\n{disposition}\r\n\r\n".encode() + content
    kind = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    answer = ask(port, "/upload", "POST", body + f"\r\n--{_BOUNDARY}--\r\n".encode(), kind)
    assert answer.status == 200, answer
    receipt: dict[str, Any] = json.loads(answer.body)
    return receipt


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def http_bucket(store: Path, port: int, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Our server, as ``python -m httpbucket serve`` starts it."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "assets" / "src"),
        "ARCHIVE_DIR": str(store),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
    }
    ping = f"{settings.get('SCRIPT_NAME', '')}/ping"
    command = [sys.executable, "-m", "httpbucket", "serve"]
    with started(command, lambda: ask(port, ping).status == 200, environ | settings) as server:
        yield server


@contextmanager
def started(
    command: Sequence[str], is_up: Callable[[], bool], environ: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server, wait until it is up; end it with SIGTERM."""
    with subprocess.Popen(command, env=environ) as server:
        try:
            _wait_until(server, is_up)
            yield server
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(_STOP_SECONDS)
            server.kill()


def _wait_until(server: subprocess.Popen[bytes], is_up: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with suppress(OSError):
            if is_up():
                return
        assert server.poll() is None, f"exit status {server.returncode} at start"
        assert time.monotonic() < deadline, f"not up after {_START_SECONDS} s"
        time.sleep(0.02)
