"""A disk that fills up, turns read-only or runs out of files: clear answers, and nothing is lost.

What was kept can be read all the time, and uploads are taken again as soon as the cause is gone.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress

import pytest

from tests.builders import tar, tar_member
from tests.live.conftest import ServerFactory
from tests.live.mounted import MountedServer, mounted_server
from tests.live.server import SERVE, LiveServer, digest, wait_until
from tests.live.store_checks import faults
from tests.live.wire import Answer, Wire, chunk, multipart, request_head, upload_halves

MIB = 1024**2
FIRST = b"kept before the trouble " * 1000
FLOOR = str(4 * MIB)


def send(server: LiveServer, content: bytes, filename: str = "results.xml") -> Answer:
    """Upload, whatever the answer is."""
    body, kind = multipart(content, filename)
    return server.request("POST", "/upload", body, {"Content-Type": kind})


def send_chunked(server: LiveServer, content: bytes) -> Answer:
    """Upload without saying how long it is."""
    body, kind = multipart(content)
    headers = {"Content-Type": kind, "Transfer-Encoding": "chunked"}
    pieces = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
    with server.connect(seconds=60) as wire:
        wire.send(request_head("POST", "/upload", headers))
        with suppress(ConnectionError):
            wire.send(b"".join(map(chunk, pieces)) + chunk(b""))
        return wire.receive_answer()


def assert_refused(answer: Answer, status: int, problem: str) -> None:
    assert (answer.status, answer.problem) == (status, problem), answer
    assert int(answer.headers["Retry-After"]) > 0


def assert_reads_go_on(server: LiveServer) -> None:
    assert server.knows(digest(FIRST)) == 200
    assert server.request("GET", f"/blob/{digest(FIRST)}").body == FIRST
    assert server.request("GET", "/uploads").status == 200


def assert_whole(server: MountedServer) -> None:
    wait_until(lambda: not server.staged(), seconds=10, what="staging is empty")
    assert faults(server.root) == []


def contents(size: int, count: int, seed: int = 1) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(size) for _ in range(count)]


class TestFullDisk:
    """A tmpfs of 64 MiB."""

    def test_uploads_stop_at_the_floor_and_go_on_when_there_is_room(
        self, servers: ServerFactory
    ) -> None:
        with mounted_server(servers, "size=64m", MIN_FREE_BYTES=FLOOR) as server:
            server.upload(FIRST)
            answers = [send(server, content).status for content in contents(7 * MIB, 10)]
            assert answers == [200] * 8 + [507] * 2
            assert_refused(send(server, b"x" * 5 * MIB), 507, "storage-full")
            assert_reads_go_on(server)
            assert_whole(server)
            assert free_bytes(server) >= int(FLOOR)
            server.upload(b"small ones fit still")
            stranger = server.fill(leave=3 * MIB)
            assert_refused(send(server, b"not even small ones"), 507, "storage-full")
            assert_reads_go_on(server)
            stranger.unlink()
            server.upload(b"not even small ones")
            assert_whole(server)

    def test_a_length_without_room_is_refused_before_the_body_comes(
        self, servers: ServerFactory
    ) -> None:
        with mounted_server(servers, "size=64m", MAX_CONTENT_LENGTH="1gb") as server:
            begun, _ = upload_halves(b"x" * 80 * MIB)
            with server.connect() as wire:
                head, _, _ = begun.partition(b"\r\n\r\n")
                wire.send(head + b"\r\n\r\n")
                assert_refused(wire.receive_answer(), 507, "storage-full")

    def test_two_workers_promise_the_same_room_to_one_upload_only(
        self, servers: ServerFactory
    ) -> None:
        settings = {"MIN_FREE_BYTES": FLOOR, "MAX_CONTENT_LENGTH": "1gb", "WEB_CONCURRENCY": "2"}
        with mounted_server(servers, "size=64m", **settings) as server, ExitStack() as stack:
            begun, rest = upload_halves(random.Random(2).randbytes(40 * MIB))
            wires = [stack.enter_context(server.connect(seconds=60)) for _ in range(6)]
            for wire in wires:
                wire.send(begun.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
            wait_until(lambda: free_bytes(server) < 30 * MIB, seconds=10, what="room is set aside")
            body = begun.partition(b"\r\n\r\n")[2] + rest
            with ThreadPoolExecutor(6) as clients:
                answers = list(clients.map(lambda wire: send_rest(wire, body), wires))
            assert sorted(answers) == [200] + [507] * 5
            assert_whole(server)

    @pytest.mark.parametrize("size", [300_000, 6 * MIB])
    def test_without_a_length_it_is_noticed_on_the_way(
        self, servers: ServerFactory, size: int
    ) -> None:
        with mounted_server(servers, "size=64m", MIN_FREE_BYTES=FLOOR) as server:
            server.upload(FIRST)
            stranger = server.fill(leave=int(FLOOR) + 200_000)
            content = contents(size, 1)[0]
            assert_refused(send_chunked(server, content), 507, "storage-full")
            assert_reads_go_on(server)
            assert_whole(server)
            stranger.unlink()
            assert send_chunked(server, content).status == 200

    def test_to_the_brim_without_a_floor(self, servers: ServerFactory) -> None:
        with mounted_server(servers, "size=64m", MIN_FREE_BYTES="0") as server:
            server.upload(FIRST)
            for left in (0, 4096, 16_384, 65_536, 200_000, 500_000):
                stranger = server.fill(leave=left)
                answer = send(server, b"%d" % left + contents(400_000, 1)[0])
                assert answer.status in {200, 507}, answer
                assert_reads_go_on(server)
                assert_whole(server)
                stranger.unlink()
            server.upload(b"room again")
            server.stop()

    def test_an_archive_file_without_room_for_its_tree(self, servers: ServerFactory) -> None:
        members = [
            tar_member(f"dir/{number}", content)
            for number, content in enumerate(contents(1000, 3000))
        ]
        with mounted_server(servers, "size=64m", MIN_FREE_BYTES=FLOOR) as server:
            server.upload(FIRST)
            stranger = server.fill(leave=int(FLOOR) + 7 * MIB)
            assert_refused(send(server, tar(*members), "many.tar"), 507, "storage-full")
            assert_reads_go_on(server)
            wait_until(lambda: not server.staged(), seconds=10, what="staging is empty")
            assert len(list((server.root / "archive").glob("*/*/*/*"))) == 1
            stranger.unlink()
            receipt = send(server, tar(*members), "many.tar").json
            assert len(list((server.root / receipt["path"]["archive"] / "dir").iterdir())) == 3000

    def test_a_worker_that_begins_on_a_full_disk_serves_what_is_there(
        self, servers: ServerFactory
    ) -> None:
        with mounted_server(servers, "size=64m", WEB_CONCURRENCY="1") as server:
            server.upload(FIRST)
            stranger = server.fill()
            replace_worker(server)
            assert_reads_go_on(server)
            assert_refused(send(server, b"content"), 507, "storage-full")
            stranger.unlink()
            server.upload(b"content")


def send_rest(wire: Wire, body: bytes) -> int:
    """Send a body whose head was sent, unless the answer came already; the status."""
    with suppress(ConnectionError):
        wire.send(body)
    return wire.receive_answer().status


def free_bytes(server: MountedServer) -> int:
    status = os.statvfs(server.root)
    return status.f_bavail * status.f_frsize


def replace_worker(server: LiveServer) -> None:
    """Kill the only worker, and wait for the one that gunicorn starts instead."""
    (old,) = server.workers()
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: server.workers() not in ([], [old]), seconds=20, what="a worker begins")


class TestFewInodes:
    def test_uploads_stop_at_the_floor_and_go_on(self, servers: ServerFactory) -> None:
        with mounted_server(servers, "size=64m,nr_inodes=600", MIN_FREE_INODES="100") as server:
            server.upload(FIRST)
            statuses = [send(server, b"content %d" % number).status for number in range(200)]
            assert statuses == sorted(statuses)
            assert set(statuses) == {200, 507}
            assert_refused(send(server, b"one more"), 507, "storage-full")
            assert_reads_go_on(server)
            assert_whole(server)
            server.remount("nr_inodes=2000")
            server.upload(b"one more")

    def test_to_the_last_one_without_a_floor(self, servers: ServerFactory) -> None:
        with mounted_server(servers, "size=64m,nr_inodes=400", MIN_FREE_INODES="0") as server:
            server.upload(FIRST)
            members = [tar_member(f"d/{number}", b"%d" % number) for number in range(900)]
            assert_refused(send(server, tar(*members), "many.tar"), 507, "storage-full")
            assert_whole(server)
            statuses = [send(server, b"content %d" % number).status for number in range(150)]
            assert set(statuses) == {200, 507}
            assert_reads_go_on(server)
            assert_whole(server)
            server.remount("nr_inodes=4000")
            assert send(server, tar(*members), "many.tar").status == 200


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
        with ThreadPoolExecutor(8) as clients:
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
    """The descriptors of the workers but for connections, which linger for a while."""
    return [path for path in server.open_files() if not path.startswith("socket:")]


class TestQuota:
    def test_contents_count_once(self, servers: ServerFactory) -> None:
        server = servers.start(MAX_STORE_BYTES=str(3 * MIB), WEB_CONCURRENCY="1")
        content = contents(MIB, 1)[0]
        for _ in range(6):
            server.upload(content)
        second, third = contents(MIB - 1000, 2, seed=2)
        server.upload(second)
        wait_until(
            lambda: send(server, third).status == 507, seconds=30, what="the quota is noticed"
        )
        assert server.knows(digest(content)) == 200


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
