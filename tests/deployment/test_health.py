"""The image's HEALTHCHECK, run against a real server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment.dockerfile import IMAGE, on_this_machine
from tests.live.server import LiveServer, free_port

PREFIX = "/bucket"


@pytest.fixture(scope="module")
def port(module_directory: Path) -> Iterator[int]:
    """The first of two ports that a server listens on, under a prefix."""
    first, second = free_port(), free_port()
    with LiveServer(module_directory, PORT=f"{first},{second}", SCRIPT_NAME=PREFIX):
        yield first


def check(**environ: str) -> subprocess.CompletedProcess[str]:
    command = on_this_machine(IMAGE.command("HEALTHCHECK"), sys.executable)
    return subprocess.run(
        command, env=environ, check=False, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.0.0.1", "localhost"])
def test_a_server_that_answers_on_its_first_port_is_healthy(port: int, host: str) -> None:
    # The second port is one that nobody can listen on.
    finished = check(HOST=host, PORT=f"{port},0", SCRIPT_NAME=PREFIX)
    assert (finished.returncode, finished.stdout) == (0, f"/ping on port {port}: 200\n")


def test_a_proxy_for_outgoing_requests_is_not_asked(port: int) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    finished = check(PORT=str(port), SCRIPT_NAME=PREFIX, http_proxy=nobody, HTTP_PROXY=nobody)
    assert finished.returncode == 0


def test_a_server_that_answers_otherwise_is_not_healthy(port: int) -> None:
    finished = check(PORT=str(port))
    assert finished.returncode == 1
    assert finished.stdout.startswith(f"/ping on port {port}: ")


def test_a_server_that_is_not_there_is_not_healthy() -> None:
    nobody = free_port()
    finished = check(PORT=str(nobody))
    assert (finished.returncode, finished.stderr) == (1, "")
    assert finished.stdout == f"/ping on port {nobody}: [Errno 111] Connection refused\n"
