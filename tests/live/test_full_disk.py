"""A disk that fills up or runs out of inodes: 507, and nothing is lost."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from tests.builders import tar, tar_member
from tests.live.conftest import ServerFactory
from tests.live.mounted import MountedServer, mounted_server
from tests.live.refusals import (
    FIRST,
    assert_reads_go_on,
    assert_refused,
    assert_whole,
    contents,
    replace_worker,
    send,
    send_chunked,
)
from tests.live.server import digest, wait_until
from tests.live.wire import Wire, upload_halves

MIB = 1024**2
FLOOR = str(4 * MIB)


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
            # tmpfs counts each link, those too that hold members until the upload names them.
            server.remount("nr_inodes=8000")
            assert send(server, tar(*members), "many.tar").status == 200


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
