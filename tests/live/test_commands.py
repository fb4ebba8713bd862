"""The curl lines that the documentation promises, run by a shell as they are written."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.live.server import LiveServer, digest
from tests.tools import require_tool

CONTENT = b"<testsuite tests='3'/>\n"


class Shell:
    """A shell in a directory with ``results.xml``, where ``$server`` is the server."""

    def __init__(self, directory: Path, server: LiveServer) -> None:
        self.directory = directory
        self._server = server

    def run(self, line: str) -> str:
        """What the line prints; fails when it does."""
        environ = {"PATH": self._server.environ["PATH"], "server": self._server.url}
        finished = subprocess.run(
            ["sh", "-euc", line],
            cwd=self.directory,
            env=environ,
            check=False,
            capture_output=True,
            text=True,
        )
        assert finished.returncode == 0, finished
        return finished.stdout


@pytest.fixture
def shell(tmp_path: Path, server: LiveServer) -> Shell:
    require_tool("curl")
    (tmp_path / "results.xml").write_bytes(CONTENT)
    return Shell(tmp_path, server)


@pytest.fixture
def uploaded(server: LiveServer) -> None:
    server.upload(CONTENT)


def test_the_upload_line_keeps_the_file(shell: Shell, server: LiveServer) -> None:
    printed = shell.run("curl -X POST -F 'file=@results.xml' $server/upload")
    assert f'"blob": "{digest(CONTENT, "md5")}"' in printed
    sha256 = digest(CONTENT)
    blob = server.archive / "blob" / sha256[:2] / sha256[2:4] / sha256
    assert blob.read_bytes() == CONTENT


def test_the_config_line_tells_the_limit(shell: Shell) -> None:
    assert '"MAX_CONTENT_LENGTH": 33554432' in shell.run("curl $server/config")


def test_the_index_line_says_what_this_is(shell: Shell) -> None:
    assert shell.run("curl $server/") == "http-bucket server\n"


@pytest.mark.usefixtures("uploaded")
def test_the_head_line_finds_an_upload_by_its_md5(shell: Shell) -> None:
    printed = shell.run(
        "curl --head $server/checksum/$(md5sum results.xml | awk '{print $1}')",
    )
    assert printed.startswith("HTTP/1.1 200 OK")


@pytest.mark.usefixtures("uploaded")
@pytest.mark.parametrize("program", ["md5sum", "sha256sum", "sha512sum"])
@pytest.mark.parametrize("way", ["--head", "-X HEAD -i"])
def test_head_returns_at_once_for_a_known_digest(shell: Shell, way: str, program: str) -> None:
    line = f"curl --max-time 1 {way} $server/checksum/$({program} results.xml | awk '{{print $1}}')"
    assert shell.run(line).startswith("HTTP/1.1 200 OK")


@pytest.mark.parametrize("way", ["--head", "-X HEAD -i"])
@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (digest(b"never uploaded", "md5"), "404 NOT FOUND"),
        (digest(b"never uploaded", "sha256"), "404 NOT FOUND"),
        (digest(b"never uploaded", "sha512"), "404 NOT FOUND"),
        ("g" * 32, "400 BAD REQUEST"),
        ("0" * 31, "400 BAD REQUEST"),
    ],
)
def test_head_returns_at_once_for_anything_else(
    shell: Shell, way: str, asked: str, status: str
) -> None:
    assert f"HTTP/1.1 {status}" in shell.run(f"curl --max-time 1 {way} $server/checksum/{asked}")


@pytest.mark.usefixtures("uploaded")
@pytest.mark.parametrize("program", ["md5sum", "sha256sum", "sha512sum"])
def test_following_a_checksum_gets_the_bytes(shell: Shell, program: str) -> None:
    shell.run(f"curl -L -o got $server/checksum/$({program} results.xml | awk '{{print $1}}')")
    assert (shell.directory / "got").read_bytes() == CONTENT


def test_a_producer_skips_an_upload_that_is_not_needed(shell: Shell) -> None:
    (shell.directory / "results.xml").write_text(f"new at {time.monotonic_ns()}")
    line = (
        "curl -sf --head $server/checksum/$(sha256sum results.xml | awk '{print $1}')"
        " || curl -sf -F file=@results.xml $server/upload"
    )
    assert '"status": "Success"' in shell.run(line)
    assert shell.run(line).startswith("HTTP/1.1 200 OK")
