"""Resumable uploads on a real server, over connections that break, with clients of others."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer, wait_until
from tests.live.tus_client import TusUpload

SIZE = 4 * 1024**2


@pytest.fixture
def content() -> bytes:
    return os.urandom(SIZE)


def kept(server: LiveServer, receipt: dict[str, Any]) -> bytes:
    return Path(server.archive, receipt["path"]["blob"]).read_bytes()


def begin(server: LiveServer, content: bytes) -> TusUpload:
    return TusUpload(server, len(content), lambda offset, length: content[offset : offset + length])


def uploads(server: LiveServer) -> list[Path]:
    return list((server.archive / "archive").glob("*/*/*/*"))


def test_a_connection_cut_twenty_times_brings_all_of_it(server: LiveServer, content: bytes) -> None:
    upload = begin(server, content)
    chosen = random.Random(20)
    for _ in range(20):
        offset = upload.offset
        upload.send_cut(offset, chosen.randrange(1, (SIZE - offset) // 4))
    assert kept(server, upload.finish()) == content


def test_a_new_request_takes_over_from_one_that_hangs(server: LiveServer, content: bytes) -> None:
    upload = begin(server, content)
    with server.connect() as wire:
        upload.stall(wire, 0, SIZE // 2)
        partial = server.archive / "private/partial/tus" / upload.path.rpartition("/")[2] / "bytes"
        wait_until(lambda: partial.stat().st_size > 0, seconds=10, what="the first bytes came")
        # Well before BODY_IDLE_SECONDS, and however many bytes were still on their way.
        assert 0 < upload.offset <= SIZE // 2
        assert kept(server, upload.finish()) == content


def test_two_clients_who_fight_for_one_upload_do_not_spoil_it(
    server: LiveServer, content: bytes
) -> None:
    upload = begin(server, content)
    answers: list[int] = []

    def fight() -> None:
        while True:
            looked = upload.look()
            if looked.status == 423:
                continue
            if looked.headers.get("Content-Location"):
                return
            # Whoever is in the way loses the connection.
            with suppress(ConnectionError):
                piece = upload.send(int(looked.headers["Upload-Offset"]), 200_000)
                answers.append(piece.status)

    fighters = [threading.Thread(target=fight) for _ in range(2)]
    for fighter in fighters:
        fighter.start()
    for fighter in fighters:
        fighter.join(60)
    assert {*answers} <= {200, 204, 400, 409, 423}
    assert answers.count(200) == 1
    digest = hashlib.sha256(content).hexdigest()
    assert server.knows(f"sha256:{digest}") == 200


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_a_restart_in_between_changes_nothing(
    servers: ServerFactory, content: bytes, ending: str
) -> None:
    server = servers.start(FSYNC="off")
    upload = begin(server, content)
    upload.send(0, SIZE // 2)
    getattr(server, ending)()
    server.start()
    assert upload.offset == SIZE // 2
    assert kept(server, upload.finish()) == content
    assert len(uploads(server)) == 1


def test_what_came_before_a_kill_in_the_middle_of_a_piece_is_not_sent_again(
    servers: ServerFactory, content: bytes
) -> None:
    server = servers.start(FSYNC="off")
    upload = begin(server, content)
    partial = server.archive / "private/partial/tus" / upload.path.rpartition("/")[2] / "bytes"
    with server.connect() as wire:
        upload.stall(wire, 0, SIZE // 2)
        wait_until(lambda: partial.stat().st_size > 0, seconds=10, what="the first bytes came")
        server.kill()
    server.start()
    assert 0 < upload.offset <= SIZE // 2
    assert kept(server, upload.finish()) == content


def test_uploads_that_nobody_goes_on_with_are_removed(
    servers: ServerFactory, content: bytes
) -> None:
    server = servers.start(FSYNC="off", PARTIAL_SECONDS="1")
    upload = begin(server, content)
    server.stop()
    os.utime(
        server.archive / "private/partial/tus" / upload.path.rpartition("/")[2] / "bytes", (0, 0)
    )
    server.start()
    partial = server.archive / "private" / "partial" / "tus"
    wait_until(lambda: not list(partial.iterdir()), seconds=20, what="it is removed")
    assert upload.look().status == 404


# In a process of its own: it leaves files open, which would fail the test.
TUSPY = """
import sys
from tusclient.client import TusClient

url, path, checked = sys.argv[1], sys.argv[2], sys.argv[3] == "True"
client = TusClient(url)
options = {"chunk_size": 1_500_000, "metadata": {"filename": "of tuspy.bin"}}
first = client.uploader(path, upload_checksum=checked, **options)
first.upload_chunk()
client.uploader(path, url=first.url, upload_checksum=checked, **options).upload()
"""


@pytest.mark.parametrize("checked", [False, True])
def test_tuspy_goes_on_where_it_stopped(
    server: LiveServer, tmp_path: Path, content: bytes, checked: bool
) -> None:
    path = tmp_path / "content.bin"
    path.write_bytes(content)
    arguments = (f"{server.url}/tus/", str(path), str(checked))
    subprocess.run((sys.executable, "-c", TUSPY, *arguments), check=True, timeout=60)
    assert server.knows(f"sha256:{hashlib.sha256(content).hexdigest()}") == 200


@pytest.mark.long
def test_five_gigabytes_arrive_over_twenty_cuts(servers: ServerFactory) -> None:
    size, block = 5 * 1024**3, os.urandom(1024**2)

    def read(offset: int, length: int) -> bytes:
        """Of the block, again and again."""
        shift = offset % len(block)
        return (block * (length // len(block) + 2))[shift : shift + length]

    server = servers.start(MAX_CONTENT_LENGTH="6gb", CHECKSUM_TYPE="sha256", DIGESTS="sha256")
    upload = TusUpload(server, size, read, "five.bin")
    piece = size // 21
    for _ in range(20):
        upload.send_cut(upload.offset, min(piece, 64 * 1024**2))
        upload.send(upload.offset, piece - 64 * 1024**2)
    while (offset := upload.offset) < size - piece:
        upload.send(offset, piece)
    receipt = upload.finish()
    expected = hashlib.sha256()
    for _ in range(size // len(block)):
        expected.update(block)
    assert receipt["upload"]["digests"]["sha256"] == expected.hexdigest()
