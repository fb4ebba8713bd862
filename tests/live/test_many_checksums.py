"""Real checksum tools ask, through real curl, which files have to be sent."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.live.server import LiveServer
from tests.tools import require_tool

FILES = {
    "kept.xml": b"kept",
    "new.xml": b"new",
    "dir with blanks/new (1) = b.xml": b"new one",
    "back\\slash": b"new backslash",
    "line\nfeed": b"new line feed",
    "carriage\rreturn": b"new carriage return",
    "日本語.xml": b"new in japanese",
    "empty": b"",
}
#: Those that were uploaded.
KEPT = {"kept.xml", "empty"}


@pytest.fixture
def place(tmp_path: Path, server: LiveServer) -> Path:
    """A directory with the files; ``all`` has them, ``missing`` those that are not kept."""
    require_tool("curl")
    for name, content in FILES.items():
        for directory in ("all", *(() if name in KEPT else ("missing",))):
            path = tmp_path / directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for name in KEPT:
        server.upload(FILES[name], name)
    return tmp_path


def sums_in(directory: Path, command: str) -> bytes:
    """What a checksum tool prints for all files, in an order of names."""
    line = f"find . -type f -print0 | sort -z | xargs -0 {command}"
    return subprocess.run(
        ["sh", "-euc", line], cwd=directory, check=True, capture_output=True
    ).stdout


def asked(place: Path, server: LiveServer, command: str, *options: str) -> bytes:
    """What the server answers to curl, with the tool's output on standard input."""
    curl = ["curl", "--fail-with-body", "--silent", "--show-error", "--data-binary", "@-"]
    finished = subprocess.run(
        [*curl, *options, f"{server.url}/checksum"],
        input=sums_in(place / "all", command),
        check=False,
        capture_output=True,
    )
    assert finished.returncode == 0, finished
    return finished.stdout


@pytest.mark.parametrize(
    "command",
    [
        "sha256sum",
        "md5sum",
        "sha512sum",
        "sha256sum --binary",
        "sha256sum --zero",
        "sha256sum --tag",
        "md5sum --tag --zero",
        "cksum --algorithm=sha256",
        "cksum --algorithm=sha512 --untagged",
    ],
)
def test_what_coreutils_print_is_answered_with_the_lines_of_missing_files(
    place: Path, server: LiveServer, command: str
) -> None:
    require_tool(command.partition(" ")[0], package="coreutils")
    assert asked(place, server, command) == sums_in(place / "missing", command)


@pytest.mark.parametrize("command", ["sha256sum", "md5sum", "sha512sum"])
def test_what_busybox_prints_is_answered_alike(
    place: Path, server: LiveServer, command: str
) -> None:
    command = f"{require_tool('busybox')} {command}"
    # It does not escape names.
    for directory in ("all", "missing"):
        (place / directory / "line\nfeed").unlink()
    assert asked(place, server, command) == sums_in(place / "missing", command)


def test_a_chunked_body_and_one_that_names_its_kind_are_answered_alike(
    place: Path, server: LiveServer
) -> None:
    expected = sums_in(place / "missing", "sha256sum")
    for header in ("Transfer-Encoding: chunked", "Content-Type: text/plain", "Content-Type:"):
        assert asked(place, server, "sha256sum", "--header", header) == expected


def test_only_the_missing_files_are_sent_and_then_none_is_missing(
    place: Path, server: LiveServer
) -> None:
    *missing, _ = asked(place, server, "sha256sum --zero").split(b"\0")
    names = [line[66:].decode() for line in missing]
    assert {name.removeprefix("./") for name in names} == set(FILES) - KEPT
    for name in names:
        server.upload((place / "all" / name).read_bytes())
    assert asked(place, server, "sha256sum") == b""


def test_line_ends_that_curl_took_out_are_noticed(place: Path, server: LiveServer) -> None:
    (place / "sums").write_bytes(sums_in(place / "all", "sha256sum"))
    line = ["curl", "--silent", "--data", f"@{place / 'sums'}", f"{server.url}/checksum"]
    answer = subprocess.run(line, check=True, capture_output=True).stdout
    assert b"malformed-checksums" in answer
    assert b"--data-binary" in answer
