"""Starting, stopping, and being started in every way that is documented."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.abilities import command_as_nobody, command_with_own_mounts
from tests.live.conftest import ServerFactory
from tests.live.load import Load
from tests.live.server import SERVE, SOURCE, LiveServer, digest, free_port, wait_until
from tests.live.wire import Answer, upload_halves

FAILED = 1
MISTAKEN = 2

CONTENTS = [b"<one/>", b"two\n" * 1000, b"", bytes(range(256)) * 40]


def end_of_start(server: LiveServer, status: int) -> list[str]:
    """What a server says that refuses to start: its last words, without the greeting."""
    server.launch()
    assert server.wait() == status, server.log
    assert "Traceback" not in server.log
    server.kill()
    return [line for line in server.log.splitlines() if not _is_greeting(line)]


def _is_greeting(line: str) -> bool:
    return line.startswith(("http-bucket ", "It answers this machine", "Try it:", "WARNING: "))


class TestRefusalsToStart:
    def test_a_taken_port(self, servers: ServerFactory) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            said = end_of_start(servers.new(PORT=str(port)), FAILED)
        assert said == [
            f"Port {port} is taken by another program; stop it, or set PORT to a free one."
        ]

    def test_a_second_server_on_the_port_of_the_first(self, servers: ServerFactory) -> None:
        first = servers.start()
        (sentence,) = end_of_start(servers.new(PORT=str(first.port)), FAILED)
        assert "set PORT to a free one" in sentence
        first.upload(b"the first goes on")

    def test_a_store_of_another_layout(self, servers: ServerFactory) -> None:
        server = servers.new()
        server.archive.mkdir()
        (server.archive / "bucket-layout").write_text("2\n")
        (sentence,) = end_of_start(server, FAILED)
        assert "has layout '2', and this program knows layout 1; start the program" in sentence

    def test_a_directory_with_files_of_others(self, servers: ServerFactory) -> None:
        server = servers.new()
        server.archive.mkdir()
        (server.archive / "thesis.tex").touch()
        (sentence,) = end_of_start(server, FAILED)
        assert "thesis.tex" in sentence
        assert sentence.endswith("name an empty or a new directory.")
        assert [path.name for path in server.archive.iterdir()] == ["thesis.tex"]

    @pytest.mark.parametrize("below", [".", "below/it"])
    def test_a_file_instead_of_a_directory(self, servers: ServerFactory, below: str) -> None:
        file = servers.directory / "file"
        file.write_text("not a directory")
        (sentence,) = end_of_start(servers.new(ARCHIVE_DIR=str(file / below)), FAILED)
        assert "is not a directory; name a directory" in sentence

    def test_a_read_only_file_system(self, servers: ServerFactory) -> None:
        place = servers.directory / "read-only"
        place.mkdir()
        mount = f"mount -t tmpfs -o ro none {place}"
        server = servers.new(ARCHIVE_DIR=str(place), command=command_with_own_mounts(mount, SERVE))
        (sentence,) = end_of_start(server, FAILED)
        assert sentence.endswith("lies on a read-only file system; name a writable one.")

    def test_every_mistake_in_the_settings_is_told_at_once(self, servers: ServerFactory) -> None:
        said = end_of_start(
            servers.new(
                MAX_CONTENT_LENGTH="much",
                CHECKSUM_TYPE="crc",
                THREADS="0",
                REPLICATE_0="../up/${TOPIC}",
                FLASK_ENV="staging",
            ),
            MISTAKEN,
        )
        named = [line.partition(":")[0] for line in said]
        assert named == [
            "CHECKSUM_TYPE",
            "MAX_CONTENT_LENGTH",
            "REPLICATE_0",
            "THREADS",
            "FLASK_ENV",
        ]
        assert [line for line in said if not line.endswith(".")] == []


class TestOtherUsers:
    """Servers that are started by root for a user without rights."""

    @pytest.fixture
    def open_directory(self) -> Iterator[Path]:
        """A directory that every user may enter, unlike pytest's own."""
        with tempfile.TemporaryDirectory(prefix="http-bucket-") as name:
            path = Path(name)
            path.chmod(0o755)
            yield path

    def test_a_directory_that_cannot_be_written(self, open_directory: Path) -> None:
        server = LiveServer(open_directory, command=command_as_nobody())
        (sentence,) = end_of_start(server, FAILED)
        assert "cannot be written by user 65534; give it to this user with chown" in sentence

    def test_blobs_of_another_user_that_cannot_be_linked(self, open_directory: Path) -> None:
        if Path("/proc/sys/fs/protected_hardlinks").read_text().strip() == "0":
            pytest.skip("missing ability: fs.protected_hardlinks is off")
        with LiveServer(open_directory) as server:
            server.upload(b"this blob is root's")
        for path in (server.archive, *server.archive.rglob("*")):
            if path.is_dir() or "private" in path.parts:
                os.chown(path, 65534, 65534)
        server = LiveServer(open_directory, command=command_as_nobody())
        sentence = end_of_start(server, FAILED)[-1]
        assert "belong to user 0 and cannot be linked by user 65534" in sentence
        assert sentence.endswith("or give the store to this user with chown -R.")


class TestIndex:
    """What becomes of the index while the server is stopped changes no answer."""

    @pytest.fixture
    def server(self, servers: ServerFactory) -> LiveServer:
        server = servers.start()
        for content in CONTENTS:
            server.upload(content)
        return server

    @pytest.mark.parametrize(
        "lost",
        [
            ["index.sqlite3", "index.sqlite3-wal", "index.sqlite3-shm"],
            ["index.sqlite3"],
            ["index.sqlite3-wal"],
            ["index.sqlite3-shm"],
        ],
    )
    @pytest.mark.parametrize("end", ["stop", "kill"])
    def test_losing_it_changes_no_answer(
        self, server: LiveServer, end: str, lost: Sequence[str]
    ) -> None:
        before = answers(server)
        getattr(server, end)()
        for name in lost:
            (server.archive / "private" / name).unlink(missing_ok=True)
        server.start()
        assert answers(server) == before

    @pytest.mark.parametrize("name", ["index.sqlite3", "index.sqlite3-wal"])
    @pytest.mark.parametrize("end", ["stop", "kill"])
    def test_garbage_in_it_changes_no_answer(self, server: LiveServer, end: str, name: str) -> None:
        before = answers(server)
        getattr(server, end)()
        (server.archive / "private" / name).write_bytes(b"garbage" * 10_000)
        server.start()
        assert answers(server) == before
        if name == "index.sqlite3":
            assert (server.archive / "private" / "index.sqlite3.unusable").exists()


def answers(server: LiveServer) -> dict[str, tuple[int, dict[str, str], bytes]]:
    """Every answer that the index or a record has a part in."""
    asked = [
        (method, f"/{route}/{digest(content, algorithm)}")
        for content in (*CONTENTS, b"never uploaded")
        for algorithm in ("md5", "sha256", "sha512")
        for method, route in (("HEAD", "checksum"), ("GET", "checksum"), ("GET", "blob"))
    ]
    uploads = sorted(path.name for path in (server.archive / "archive").glob("*/*/*/*"))
    assert len(uploads) == len(CONTENTS)
    asked += [("GET", f"/uploads/{upload}") for upload in uploads]
    return {f"{method} {path}": timeless(server.request(method, path)) for method, path in asked}


def timeless(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    headers = {name: text for name, text in answer.headers.items() if name != "Date"}
    return answer.status, headers, answer.body


class TestWays:
    """Every documented way to start it."""

    @pytest.mark.parametrize("script", ["api.py", "bucket.py"])
    def test_the_scripts_of_old(self, servers: ServerFactory, script: str) -> None:
        server = servers.start(command=[sys.executable, str(SOURCE / script)], PYTHONPATH="")
        assert server.upload(b"by a script")["status"] == "Success"

    def test_the_installed_command(self, servers: ServerFactory) -> None:
        command = Path(sys.executable).with_name("http-bucket")
        if not command.exists():
            pytest.skip("http-bucket is not installed in this environment")
        server = servers.start(command=[str(command), "serve"])
        assert server.upload(b"by the command")["status"] == "Success"

    def test_the_version(self) -> None:
        printed = _run([*SERVE[:-1], "--version"])
        assert printed.startswith("http-bucket ")

    def test_a_prefix(self, servers: ServerFactory) -> None:
        server = servers.start(SCRIPT_NAME="/bucket")
        content = b"below a prefix"
        body = server.request("GET", "/bucket/upload").body
        assert b'"/bucket/upload"' in body
        assert b'href="/bucket/static/' in body
        assert server.request("POST", "/bucket/upload").status == 400
        sent = _run(["curl", "-sf", "-F", "file=@-;filename=x", f"{server.url}/upload"], content)
        assert "Success" in sent
        found = server.request("GET", f"/bucket/checksum/{digest(content)}")
        assert found.headers["Location"] == f"/bucket/blob/{digest(content)}"
        assert server.request("GET", found.headers["Location"]).body == content

    def test_several_ports(self, servers: ServerFactory) -> None:
        first, second = free_port(), free_port()
        server = servers.start(PORT=f"{first},{second}")
        server.upload(b"at the first")
        server.port = second
        assert server.knows(digest(b"at the first")) == 200

    def test_workers_and_threads(self, servers: ServerFactory) -> None:
        server = servers.start(WEB_CONCURRENCY="3", THREADS="1")
        wait_until(lambda: len(server.workers()) == 3, seconds=10, what="there are three workers")

    def test_the_arguments_of_gunicorn_override_everything(self, servers: ServerFactory) -> None:
        port = free_port()
        server = servers.new(PORT=str(port))
        server.settings |= {
            "PORT": str(free_port()),
            "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port} --workers 1",
            "WEB_CONCURRENCY": "3",
        }
        with server:
            server.upload(b"elsewhere")
            assert len(server.workers()) == 1

    def test_a_unix_socket(self, servers: ServerFactory) -> None:
        path = servers.directory / "socket"
        server = servers.new(GUNICORN_CMD_ARGS=f"--bind unix:{path}")
        server.launch()
        try:
            wait_until(path.exists, seconds=30, what="the socket is there")
            ping = ["curl", "-sf", "--unix-socket", str(path), "http://bucket/ping"]
            assert _run(ping) == "pong\n"
        finally:
            server.stop()

    def test_development_reloads_on_a_change_of_the_code(self, servers: ServerFactory) -> None:
        source = servers.directory / "source"
        shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
        server = servers.start(source=source, FLASK_ENV="development")
        module = source / "httpbucket" / "web" / "server.py"
        module.write_text(module.read_text().replace("http-bucket server\\n", "changed\\n"))
        wait_until(
            lambda: server.request("GET", "/").body == b"changed\n",
            seconds=30,
            what="the changed code answers",
        )

    def test_no_way_in_is_made_beside_the_port(self, servers: ServerFactory) -> None:
        server = servers.start()
        server.upload(b"content")
        home = server.directory / "home"
        assert list(home.rglob("*")) == []
        assert [path for path in server.directory.rglob("*") if path.is_socket()] == []

    def test_servers_that_start_on_a_new_store_at_the_same_moment(
        self, servers: ServerFactory
    ) -> None:
        archive = servers.directory / "archive"
        started = [servers.new(ARCHIVE_DIR=str(archive)) for _ in range(6)]
        with ExitStack() as stack:
            # The inner block ends when all have started, or have not: none is left behind.
            with ThreadPoolExecutor(6) as starting:
                list(starting.map(stack.enter_context, started))
            started[0].upload(b"by the first of six")
            known = [server.knows(digest(b"by the first of six")) for server in started]
        assert known == [200] * 6

    def test_another_class_of_workers(self, servers: ServerFactory) -> None:
        server = servers.start(GUNICORN_CMD_ARGS="--worker-class gthread")
        assert server.upload(b"by plain threads")["status"] == "Success"

    def test_two_servers_share_a_store(self, servers: ServerFactory) -> None:
        first = servers.start()
        with first.connect() as wire:
            begun, rest = upload_halves(b"begun before the second server")
            wire.send(begun)
            second = servers.start(ARCHIVE_DIR=str(first.archive))
            wire.send(rest)
            assert wire.receive_answer().status == 200
        assert second.knows(digest(b"begun before the second server")) == 200
        second.upload(b"by the second")
        assert first.knows(digest(b"by the second", "md5")) == 200
        second.stop()
        first.upload(b"after the second")


def _run(command: Sequence[str], content: bytes = b"") -> str:
    environ: Mapping[str, str] = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)}
    finished = subprocess.run(command, input=content, env=environ, check=True, capture_output=True)
    return finished.stdout.decode()


class TestSignals:
    def test_an_upload_in_flight_is_finished_before_the_end(self, servers: ServerFactory) -> None:
        server = servers.start()
        content = b"in flight" * 100_000
        begun, rest = upload_halves(content)
        with server.connect() as wire:
            wire.send(begun)
            wait_until(server.is_receiving, seconds=10, what="the upload is under way")
            server.signal(signal.SIGTERM)
            wait_until(lambda: "signal: term" in server.log, seconds=10, what="it is told to end")
            wire.send(rest)
            receipt = wire.receive_answer()
            assert receipt.status == 200
        assert server.wait() == 0
        blob = server.archive / receipt.json["path"]["blob"]
        assert blob.read_bytes() == content

    def test_reloading_under_load_gives_no_error(self, servers: ServerFactory) -> None:
        server = servers.start()
        with ThreadPoolExecutor(4) as clients, Load(server) as load:
            running = [
                clients.submit(load.upload_and_ask, keep=number % 2 == 0) for number in range(4)
            ]
            for _ in range(2):
                old = set(server.workers())
                server.signal(signal.SIGHUP)
                wait_until(
                    lambda old=old: not old & set(server.workers()),  # type: ignore[misc]
                    seconds=30,
                    what="new workers have replaced the old",
                )
            load.end()
            uploads = sum(each.result() for each in running)
        assert uploads > 10
        assert "ERROR" not in server.log
