"""Many clients and one content: kept once, told only when it is whole, written once."""

from __future__ import annotations

import gzip
import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event

from tests.builders import tar, tar_member
from tests.live.conftest import ServerFactory
from tests.live.replica_clients import upload_to
from tests.live.server import LiveServer, digest
from tests.live.wire import upload_halves

CLIENTS = 8


def test_eight_clients_with_the_same_new_archive_file_see_a_whole_tree_each(
    servers: ServerFactory,
) -> None:
    server = servers.start()
    members = [tar_member(f"a/{number % 7}/{number}", b"%d" % number) for number in range(300)]
    archive = gzip.compress(tar(*members))
    with ThreadPoolExecutor(CLIENTS) as clients:
        receipts = list(
            clients.map(lambda _: upload_to(server, {}, archive, "same.tgz"), range(CLIENTS))
        )
    for receipt in receipts:
        tree = server.archive / receipt["path"]["archive"]
        read = {int(path.name): path.read_bytes() for path in tree.rglob("*") if path.is_file()}
        assert read == {number: b"%d" % number for number in range(300)}
    # The members, the tar, the tgz, the manifest and the empty blob.
    assert len(list((server.archive / "blob").glob("??/??/*"))) == 300 + 4


def test_nobody_is_told_of_a_content_before_it_is_whole(servers: ServerFactory) -> None:
    server = servers.start()
    content = random.Random(4).randbytes(3_000_000)
    begun, rest = upload_halves(content)
    ended = Event()
    with ThreadPoolExecutor(4) as clients, server.connect() as wire:
        asking = [clients.submit(ask_until, server, content, ended) for _ in range(4)]
        wire.send(begun)
        for start in range(0, len(rest), 100_000):
            wire.send(rest[start : start + 100_000])
        assert wire.receive_answer().status == 200
        assert server.knows(digest(content)) == 200
        ended.set()
        assert [client.result() for client in asking] == [[]] * 4


def ask_until(server: LiveServer, content: bytes, ended: Event) -> list[int]:
    """Ask again and again; the statuses by which a content was known whose bytes were not there."""
    wrong = []
    blob = f"/blob/{digest(content)}"
    while not ended.is_set():
        status = server.knows(digest(content))
        if status not in {200, 404} or (status == 200 and not has(server, blob, content)):
            wrong.append(status)
    return wrong


def has(server: LiveServer, path: str, content: bytes) -> bool:
    return server.request("GET", path).body == content


def test_a_second_upload_writes_no_second_blob(servers: ServerFactory) -> None:
    server = servers.start()
    content = random.Random(5).randbytes(20_000_000)
    first = server.upload(content)
    blob = server.archive / first["path"]["blob"]
    before = blob.stat()
    second = server.upload(content)
    after = blob.stat()
    assert second["path"]["blob"] == first["path"]["blob"]
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    # The blob's own name and one for each upload.
    assert after.st_nlink == before.st_nlink + 1 == 3


def test_loading_the_application_before_the_fork_does_no_harm(servers: ServerFactory) -> None:
    server = servers.start(GUNICORN_CMD_ARGS="--preload", WEB_CONCURRENCY="3")
    contents = [b"preloaded %d" % number for number in range(300)]
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(server.upload, contents))
        assert set(clients.map(lambda one: server.knows(digest(one, "md5")), contents)) == {200}
    server.stop()
    with closing(sqlite3.connect(server.archive / "private" / "index.sqlite3")) as index:
        assert index.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_two_servers_on_one_store_leave_each_others_staging_alone(servers: ServerFactory) -> None:
    first = servers.start(WEB_CONCURRENCY="1")
    second = servers.new(ARCHIVE_DIR=str(first.archive), WEB_CONCURRENCY="1")
    begun, rest = upload_halves(b"x" * 2_000_000)
    for _ in range(3):
        with first.connect() as wire:
            wire.send(begun)
            with second:
                wire.send(rest)
                assert wire.receive_answer().status == 200
                second.upload(b"by the second")
