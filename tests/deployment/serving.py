"""Servers that are not started as users start ours: nginx, and the image's own command."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from tests.live.server import START_SECONDS, STOP_SECONDS, wait_until
from tests.live.wire import Answer, Wire, multipart


def ask(
    port: int,
    path: str,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send the path as it is given, dots and all."""
    with Wire(socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS)) as wire:
        wire.send_request(method, path, body, {"Connection": "close", **(headers or {})})
        return wire.receive_answer(method)


def upload(port: int, filename: str, content: bytes) -> dict[str, Any]:
    """Upload a file; the receipt."""
    body, kind = multipart(content, filename)
    answer = ask(port, "/upload", "POST", body, {"Content-Type": kind})
    assert answer.status == 200, answer
    receipt: dict[str, Any] = json.loads(answer.body)
    return receipt


@contextmanager
def started(
    command: Sequence[str], is_up: Callable[[], bool], environ: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server with nothing but ``environ``, wait until it is up; end it with SIGTERM."""
    with subprocess.Popen(command, env=environ) as server:
        try:
            what = f"{command[0]} is up"
            wait_until(lambda: _is_up(server, is_up), seconds=START_SECONDS, what=what)
            yield server
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(STOP_SECONDS)
            server.kill()


def _is_up(server: subprocess.Popen[bytes], is_up: Callable[[], bool]) -> bool:
    assert server.poll() is None, f"exit status {server.returncode} at start"
    with suppress(OSError):
        return is_up()
    return False
