"""Ordinary clients download from a real server, as they are."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.builders import tar, tar_member
from tests.live.abilities import require_tracing
from tests.live.server import SERVE, LiveServer
from tests.tools import require_tool

MIB = 1024**2
#: How far a worker may grow over its idle size, whatever is asked for.
MOST_GROWTH = 64 * MIB
#: Far beyond what a loaded machine takes.
GUARD_SECONDS = 120

MANY = 20_000
RANDOM = random.Random(5)
FILES = {
    "a.txt": b"hello\n",
    "data/large.bin": RANDOM.randbytes(3 * MIB),
    "data/empty.txt": b"",
    "data/日本語 & 'x' #1?.txt": b"j\n",
    "deep/er/50%.log": b"x\n" * 1000,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that could not make a temporary file if it wanted to."""
    place = tmp_path_factory.mktemp("downloads")
    with LiveServer(
        place,
        WEB_CONCURRENCY="1",
        FSYNC="off",
        MAX_CONTENT_LENGTH="100mb",
        TMPDIR="/nonexistent",
    ) as server:
        yield server


@pytest.fixture(scope="module")
def tree(server: LiveServer) -> str:
    """The URL path of a tree of `FILES`."""
    packed = tar(*(tar_member(name, content) for name, content in FILES.items()))
    return f"/{server.upload(packed, 'results.tar')['path']['archive']}/"


@pytest.fixture(scope="module")
def large_tree(server: LiveServer) -> str:
    """The URL path of a tree of `MANY` files."""
    members = (tar_member(f"{n % 100:02}/{n:05}.txt", b"%d" % n) for n in range(MANY))
    return f"/{server.upload(tar(*members), 'many.tar')['path']['archive']}/"


def run(*command: str, place: Path) -> str:
    """Run a client to its end; its output."""
    finished = subprocess.run(
        command, cwd=place, check=False, capture_output=True, text=True, timeout=GUARD_SECONDS
    )
    output = finished.stdout + finished.stderr
    assert finished.returncode == 0, output
    return output


def files_below(directory: Path) -> dict[str, bytes]:
    paths = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}


def streamed(server: LiveServer, path: str) -> bytes:
    """The body of an answer that comes in chunks."""
    with urlopen(server.url + path, timeout=GUARD_SECONDS) as answer:
        body: bytes = answer.read()
    return body


def resident(server: LiveServer) -> int:
    """The bytes of memory that the one worker has."""
    (worker,) = server.workers()
    return int(Path(f"/proc/{worker}/statm").read_text().split()[1]) * 4096


class TestZips:
    def test_curl_goes_on_with_a_zip_that_broke_off(
        self, server: LiveServer, tree: str, tmp_path: Path
    ) -> None:
        curl, url = require_tool("curl"), f"{server.url}{tree}?zip"
        run(curl, "-sSf", "-o", "whole.zip", url, place=tmp_path)
        whole = (tmp_path / "whole.zip").read_bytes()
        for cut in (1, len(whole) // 2, len(whole) - 1):
            (tmp_path / "part.zip").write_bytes(whole[:cut])
            run(curl, "-sSf", "-C", "-", "-o", "part.zip", url, place=tmp_path)
            assert (tmp_path / "part.zip").read_bytes() == whole

    @pytest.mark.parametrize(
        ("package", "command"),
        [
            ("unzip", ["unzip", "-tq"]),
            ("libarchive-tools", ["bsdtar", "-tf"]),
            ("p7zip-full", ["7z", "t"]),
            ("python3", [sys.executable, "-m", "zipfile", "-t"]),
        ],
        ids=["unzip", "bsdtar", "7z", "zipfile"],
    )
    def test_readers_of_zips_find_nothing_wrong(
        self, server: LiveServer, tree: str, tmp_path: Path, package: str, command: list[str]
    ) -> None:
        (tmp_path / "x.zip").write_bytes(server.request("GET", f"{tree}?zip").body)
        tool, *arguments = command
        run(require_tool(tool, package=package), *arguments, "x.zip", place=tmp_path)

    def test_unzip_makes_the_tree(self, server: LiveServer, tree: str, tmp_path: Path) -> None:
        (tmp_path / "x.zip").write_bytes(server.request("GET", f"{tree}?zip").body)
        run(require_tool("unzip"), "-q", "x.zip", place=tmp_path)
        assert files_below(tmp_path / "results") == FILES

    def test_tar_makes_the_tree_from_a_stream(
        self, server: LiveServer, tree: str, tmp_path: Path
    ) -> None:
        curl, tar_program = require_tool("curl"), require_tool("tar")
        script = f"{curl} -sSf '{server.url}{tree}?tar' | {tar_program} x"
        run("/bin/sh", "-c", script, place=tmp_path)
        assert files_below(tmp_path / "results") == FILES


class TestTrees:
    def test_wget_fetches_a_whole_tree(self, server: LiveServer, tree: str, tmp_path: Path) -> None:
        depth = str(tree.count("/") - 1)
        options = ("-q", "-r", "-l", "inf", "-np", "-nH", "--cut-dirs", depth, "-R", "index.html*")
        wget = (require_tool("wget"), *options, "--restrict-file-names=nocontrol")
        run(*wget, "-P", "got", f"{server.url}{tree}", place=tmp_path)
        assert files_below(tmp_path / "got") == FILES

    def test_wget_meets_no_other_orders_or_views_of_a_page(
        self, server: LiveServer, tree: str, tmp_path: Path
    ) -> None:
        options = ("-q", "-r", "-l", "inf", "-np", "-nH", "--restrict-file-names=nocontrol")
        run(require_tool("wget"), *options, "-P", "got", f"{server.url}{tree}", place=tmp_path)
        pages = [path.name for path in (tmp_path / "got").rglob("index.html*")]
        assert {*pages} == {"index.html"}

    def test_rclone_copies_a_whole_tree(
        self, server: LiveServer, tree: str, tmp_path: Path
    ) -> None:
        rclone = (require_tool("rclone"), "--config", str(tmp_path / "none.conf"))
        url = f"{server.url}{tree}"
        run(*rclone, "copy", "--http-url", url, ":http:", "got", place=tmp_path)
        assert files_below(tmp_path / "got") == FILES

    def test_sha256sum_checks_a_download_and_the_tree_on_disk(
        self, server: LiveServer, tree: str, tmp_path: Path
    ) -> None:
        (tmp_path / "x.zip").write_bytes(server.request("GET", f"{tree}?zip").body)
        with zipfile.ZipFile(tmp_path / "x.zip") as file:
            file.extractall(tmp_path)
        script = f"{require_tool('curl')} -sSf '{server.url}{tree}SHA256SUMS' | sha256sum -c"
        for place in (tmp_path / "results", server.archive / tree.strip("/")):
            assert run("/bin/sh", "-c", script, place=place).count(": OK") == len(FILES)

    def test_pip_finds_a_wheel(self, server: LiveServer, tmp_path: Path) -> None:
        if find_spec("pip") is None:
            pytest.skip("pip is not installed in this environment")
        content = BytesIO()
        with zipfile.ZipFile(content, "w") as wheel:
            wheel.writestr(
                "demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
            )
            wheel.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr("demo-1.0.dist-info/RECORD", "")
        receipt = server.upload(content.getvalue(), "demo-1.0-py3-none-any.whl")
        links = f"{server.url}/{receipt['path']['upload']}/"
        pip = (sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check")
        options = ("--no-index", "--no-deps", "--no-cache-dir", "--find-links", links)
        run(*pip, "download", *options, "demo", place=tmp_path)
        assert (tmp_path / "demo-1.0-py3-none-any.whl").read_bytes() == content.getvalue()


class TestFiles:
    def test_aria2_checks_the_digest(self, server: LiveServer, tree: str, tmp_path: Path) -> None:
        aria2 = (require_tool("aria2c", package="aria2"), "--no-conf", "--min-split-size=1M")
        options = ("-x4", "-s4", "--console-log-level=info", "--file-allocation=none")
        output = run(*aria2, *options, f"{server.url}{tree}data/large.bin", place=tmp_path)
        assert (tmp_path / "large.bin").read_bytes() == FILES["data/large.bin"]
        assert "Verification finished successfully" in output

    def test_curl_gets_the_stored_gzip_and_undoes_it(
        self, server: LiveServer, tmp_path: Path
    ) -> None:
        log = b"a line\n" * 100_000
        receipt = server.upload(gzip.compress(log), "x.log.gz")
        url = f"{server.url}/{receipt['path']['upload']}/x.log"
        curl = (require_tool("curl"), "-sSf", "-w", "%{size_download}", "-o")
        small = run(*curl, "a.log", "--compressed", url, place=tmp_path)
        large = run(*curl, "b.log", url, place=tmp_path)
        assert (int(small), int(large)) == (receipt["upload"]["size"], len(log))
        assert (tmp_path / "a.log").read_bytes() == (tmp_path / "b.log").read_bytes() == log

    def test_a_connection_serves_file_after_file(self, server: LiveServer, tree: str) -> None:
        asked = [
            (f"{tree}a.txt", {}, FILES["a.txt"]),
            (
                f"{tree}data/large.bin",
                {"Range": "bytes=5-1000004"},
                FILES["data/large.bin"][5:1000005],
            ),
            (f"{tree}data/large.bin", {"Range": "bytes=-7"}, FILES["data/large.bin"][-7:]),
            (f"{tree}data/empty.txt", {}, b""),
            (f"{tree}data/large.bin", {}, FILES["data/large.bin"]),
        ]
        with server.connect() as wire:
            for path, headers, expected in asked:
                wire.send_request("GET", path, headers=headers)
                assert wire.receive_answer().body == expected
                wire.send_request("HEAD", path, headers=headers)
                assert wire.receive_answer("HEAD").body == b""

    def test_files_and_ranges_reach_the_socket_without_a_copy(self, tmp_path: Path) -> None:
        trace = tmp_path / "trace"
        strace = (require_tracing(), "-D", "-f", "-qq", "-e", "trace=sendfile", "-o", str(trace))
        content = RANDOM.randbytes(MIB)
        with LiveServer(tmp_path, command=(*strace, *SERVE)) as server:
            receipt = server.upload(content, "x.bin")
            path = f"/{receipt['path']['upload']}/x.bin"
            assert server.request("GET", path).body == content
            part = server.request("GET", path, headers={"Range": "bytes=1000-500999"})
            assert part.body == content[1000:501000]
        calls = [line for line in trace.read_text().splitlines() if "sendfile(" in line]
        assert sum(int(line.rpartition("= ")[2].split()[0]) for line in calls) == MIB + 500_000


class TestManyFiles:
    def test_a_zip_of_twenty_thousand_files_is_whole(
        self, server: LiveServer, large_tree: str
    ) -> None:
        server.request("GET", "/archive/?zip")
        before = resident(server)
        answer = server.request("GET", f"{large_tree}?zip")
        assert resident(server) - before < MOST_GROWTH
        with zipfile.ZipFile(BytesIO(answer.body)) as file:
            assert len(file.namelist()) == MANY
            assert file.testzip() is None

    def test_checksums_of_twenty_thousand_files_are_right(
        self, server: LiveServer, large_tree: str
    ) -> None:
        lines = streamed(server, f"{large_tree}SHA256SUMS").decode().splitlines()
        assert len(lines) == MANY
        assert lines[0] == f"{hashlib.sha256(b'0').hexdigest()}  00/00000.txt"

    def test_a_directory_of_a_hundred_thousand_entries_is_listed_in_bounded_memory(
        self, server: LiveServer
    ) -> None:
        directory = server.archive / "replica" / "many"
        directory.mkdir()
        for number in range(100_000):
            (directory / f"{number:06}-{'x' * 100}.txt").touch()
        before = resident(server)
        page = json.loads(server.request("GET", "/replica/many/?json").body)
        assert len(page["entries"]) == 1000
        assert page["next"] == f"?json=&limit=1000&cursor=000999-{'x' * 100}.txt"
        names = streamed(server, "/replica/many/?simple").splitlines()
        assert names == sorted(names)
        assert len(names) == 100_000
        assert streamed(server, "/replica/many/").count(b'<a href="0') == 100_000
        assert resident(server) - before < MOST_GROWTH
