"""Read-only stores, too many open files, a locked index, a clock set back: nothing is lost.

What was kept can be read all the time, and uploads are taken again as soon as the cause is gone.
"""

from __future__ import annotations

import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from tests.live.conftest import ServerFactory
from tests.live.mounted import mounted_server
from tests.live.refusals import (
    FIRST,
    assert_reads_go_on,
    assert_refused,
    assert_whole,
    contents,
    replace_worker,
    send,
)
from tests.live.server import SERVE, LiveServer, digest, wait_until
from tests.live.store_checks import faults
from tests.live.wire import multipart


class TestReadOnly:
    def test_a_remount_stops_uploads_alone(self, servers: ServerFactory) -> None:
        # While a file is open for writing, as the index is, nothing is remounted.
        elsewhere = str(servers.directory / "index.sqlite3")
        settings = {"WEB_CONCURRENCY": "1", "INDEX_PATH": elsewhere}
        with mounted_server(servers, "size=64m", **settings) as server:
            server.upload(FIRST)
            server.remount("ro")
            assert_refused(send(server, b"content"), 503, "storage-unavailable")
            assert_reads_go_on(server)
            replace_worker(server)
            assert server.knows(digest(FIRST)) == 200
            assert server.request("GET", f"/blob/{digest(FIRST)}").body == FIRST
            assert_refused(send(server, b"content"), 503, "storage-unavailable")
            server.remount("rw")
            server.upload(b"content")
            wait_until(
                lambda: server.knows(digest(b"content", "md5")) == 200,
                seconds=20,
                what="the index is complete again",
            )
            assert_whole(server)
            assert "Traceback" not in server.log

    def test_a_store_that_is_read_only_at_start_can_be_read(self, servers: ServerFactory) -> None:
        server = servers.start()
        server.upload(FIRST)
        server.stop()
        read_only = mounted_server(
            servers,
            "size=64m",
            before=f"mount --bind {server.archive} {servers.directory}/mounted/archive; "
            f"mount -o remount,bind,ro {servers.directory}/mounted/archive",
        )
        with read_only:
            assert "takes no uploads for now: read-only file system" in read_only.log
            assert read_only.knows(digest(FIRST)) == 200
            assert read_only.request("GET", f"/blob/{digest(FIRST)}").body == FIRST
            assert_refused(send(read_only, b"content"), 503, "storage-unavailable")


def test_directories_on_several_file_systems_are_refused(servers: ServerFactory) -> None:
    server = mounted_server(
        servers,
        "size=64m",
        before=f"cd {servers.directory}/mounted/archive; mkdir -p private/partial; "
        "mount -t tmpfs none private/partial; cd /",
    )
    server.launch()
    assert server.wait() == 1
    assert "private/partial lies on another file system than ARCHIVE_DIR" in server.log
    server.kill()


class TestDescriptors:
    """A limit of 64."""

    LIMITED = ("sh", "-euc", 'ulimit -n 64; exec "$@"', "sh", *SERVE)

    def test_uploads_at_the_limit_are_kept_or_refused(self, servers: ServerFactory) -> None:
        server = servers.start(command=self.LIMITED, WEB_CONCURRENCY="1", THREADS="16")
        server.upload(FIRST)
        with ExitStack() as stack:
            for _ in range(30):
                stack.enter_context(server.connect())
            with ThreadPoolExecutor(24) as clients:
                sent = contents(50_000, 200)
                answers = list(clients.map(lambda content: attempt(server, content), sent))
            kept = [content for content, status in zip(sent, answers, strict=True) if status == 200]
        assert set(answers) <= {200, 503}
        assert "Traceback" not in server.log
        wait_until(lambda: send(server, b"again").status == 200, seconds=20, what="it goes on")
        for content in kept:
            wait_until(
                lambda content=content: server.knows(digest(content, "md5")) == 200,  # type: ignore[misc]
                seconds=20,
                what="what was kept is known",
            )
        server.wait_for_empty_staging()
        assert faults(server.archive) == []

    def test_five_hundred_uploads_leave_no_descriptor_open(self, servers: ServerFactory) -> None:
        server = servers.start(command=self.LIMITED, WEB_CONCURRENCY="1", THREADS="4")
        with ThreadPoolExecutor(4) as clients:
            list(clients.map(server.upload, contents(10, 100)))
            before = len(files_open(server))
            list(clients.map(server.upload, contents(10, 500, seed=2)))
        wait_until(
            lambda: len(files_open(server)) <= before, seconds=10, what="descriptors are closed"
        )


def attempt(server: LiveServer, content: bytes) -> int:
    """The status of an upload; a connection that is not accepted in time counts as refused."""
    try:
        return send(server, content).status
    except (ConnectionError, TimeoutError):
        return 503


def files_open(server: LiveServer) -> list[str]:
    """The descriptors of the workers but for connections, which linger for a while.

    Those on the index do not count either: each thread has its own, and threads come and go.
    """
    return [path for path in server.open_files() if not is_of_a_thread(path)]


def is_of_a_thread(path: str) -> bool:
    return path.startswith("socket:") or "/private/index.sqlite3" in path


def test_a_clock_that_is_set_back_loses_nothing(servers: ServerFactory) -> None:
    clock = servers.directory / "days"
    clock.write_text("0")
    server = servers.start(
        command=[sys.executable, "-c", WITH_CLOCK, str(clock)],
        REPLICATE_0="user/${USERNAME}",
        WEB_CONCURRENCY="2",
    )
    receipts = []
    for number, days in enumerate(["0", "-1", "-2", "-1", "-20700", "0"]):
        clock.write_text(days)
        body, kind = multipart(b"content %d" % number)
        headers = {"Content-Type": kind, "Username": "bob"}
        receipts.append(server.request("POST", "/upload", body, headers).json)
        latest = server.archive / "replica/user/bob/results.latest.xml"
        assert latest.read_bytes() == b"content %d" % number
    assert len({receipt["upload"]["id"] for receipt in receipts}) == len(receipts)
    assert len({receipt["path"]["replicas"][0] for receipt in receipts}) == len(receipts)
    server.kill()
    for path in (server.archive / "private").glob("index.sqlite3*"):
        path.unlink()
    server.start()
    wait_until(
        lambda: all(server.knows(digest(b"content %d" % n, "md5")) == 200 for n in range(6)),
        seconds=20,
        what="all of them are known again",
    )


WITH_CLOCK = """
import sys
from datetime import datetime, timedelta
from pathlib import Path
from httpbucket import wiring
from httpbucket.cli.main import main

class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(days=int(days.read_text() or 0))

days = Path(sys.argv[1])
wiring.datetime = Clock
raise SystemExit(main(["serve"]))
"""


class TestIndexElsewhere:
    def test_it_lies_where_it_was_put(self, servers: ServerFactory) -> None:
        place = servers.directory / "elsewhere" / "index.sqlite3"
        server = servers.start(INDEX_PATH=str(place))
        server.upload(FIRST)
        server.stop()
        assert place.exists()
        assert list((server.archive / "private").glob("index*")) == []
        server.start()
        assert server.knows(digest(FIRST, "md5")) == 200

    def test_a_place_where_none_can_be_is_refused(self, servers: ServerFactory) -> None:
        server = servers.new(INDEX_PATH=str(servers.directory))
        server.launch()
        assert server.wait() == 1
        assert f"INDEX_PATH {servers.directory} cannot be made" in server.log
        server.kill()


@pytest.mark.long
def test_a_locked_index_holds_up_no_reader_and_loses_no_upload(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="1")
    server.upload(FIRST)
    index = server.archive / "private" / "index.sqlite3"
    with closing(sqlite3.connect(index, isolation_level=None)) as foreign:
        foreign.execute("BEGIN EXCLUSIVE")
        assert_reads_go_on(server)
        # It waits for the index, and then does without.
        server.upload(b"while it is locked")
        assert server.knows(digest(b"while it is locked")) in {200, 503}
        foreign.execute("ROLLBACK")
    for algorithm in ("sha256", "md5"):
        wait_until(
            lambda algorithm=algorithm: (  # type: ignore[misc]
                server.knows(digest(b"while it is locked", algorithm)) == 200
            ),
            seconds=20,
            what="the index has it",
        )
