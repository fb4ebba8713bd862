"""A store that was copied, or whose files rotted, is served as far as it goes."""

from __future__ import annotations

import gzip
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from httpbucket.domain.upload import Record
from tests.builders import tar, tar_member
from tests.live.conftest import ServerFactory
from tests.live.replica_clients import BOB, TEMPLATE, upload_to
from tests.live.server import LiveServer, digest, wait_until

PLAIN = [b"plain content %d " % number * 50 for number in range(20)]
ARCHIVE = gzip.compress(tar(*(tar_member(f"d/{n}.txt", b"member %d" % n) for n in range(50))))

FLIPS = 1000


def fill(server: LiveServer) -> list[dict[str, Any]]:
    """Upload plain contents and an archive file, with replicas; the receipts."""
    receipts = [upload_to(server, BOB, content) for content in PLAIN]
    return [*receipts, upload_to(server, BOB, ARCHIVE, "results.tgz")]


def flip_bits(paths: Sequence[Path], *, flips: int, seed: int) -> None:
    """Flip bits in files, at random places of all of them together."""
    chance = random.Random(seed)
    files = [path for path in sorted(paths) if path.stat().st_size]
    for path in files:
        path.chmod(0o644)
    for path in chance.choices(files, [path.stat().st_size for path in files], k=flips):
        with path.open("r+b") as file:
            place = chance.randrange(path.stat().st_size)
            file.seek(place)
            byte = file.read(1)[0] ^ (1 << chance.randrange(8))
            file.seek(place)
            file.write(bytes([byte]))


def contents() -> dict[str, bytes]:
    """Every content by its SHA-256: what was uploaded, what was in it, and its members."""
    every = [*PLAIN, ARCHIVE, gzip.decompress(ARCHIVE), *(b"member %d" % n for n in range(50))]
    return {digest(content): content for content in every}


def assert_all_is_there(server: LiveServer, receipts: Sequence[dict[str, Any]]) -> None:
    for sha256, content in contents().items():
        assert server.knows(sha256) == 200
        assert server.request("GET", f"/blob/{sha256}").body == content
    for receipt in receipts:
        assert server.request("GET", f"/uploads/{receipt['upload']['id']}").status == 200
        assert (server.archive / receipt["path"]["replicas"][0]).exists()


@pytest.fixture
def server(servers: ServerFactory) -> LiveServer:
    return servers.start(REPLICATE_0=TEMPLATE)


class TestFlippedBits:
    """A thousand of them. What a blob lost is for ``scrub`` to find."""

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_in_the_index_lose_nothing(self, server: LiveServer, seed: int) -> None:
        receipts = fill(server)
        server.stop()
        private = server.archive / "private"
        flip_bits([*private.glob("index.sqlite3*")], flips=FLIPS, seed=seed)
        server.start()
        # A few uploads are known wrongly at worst; taking the index away mends that.
        assert {server.knows(sha256) for sha256 in contents()} <= {200, 404, 503}
        for content in PLAIN:
            upload_to(server, BOB, content)
        server.stop()
        for path in private.glob("index.sqlite3*"):
            path.unlink()
        server.start()
        wait_until_complete(server)
        assert_all_is_there(server, receipts)

    @pytest.mark.parametrize("seed", [1, 2])
    def test_in_records_stop_neither_the_start_nor_uploads(
        self, server: LiveServer, seed: int
    ) -> None:
        receipts = fill(server)
        server.stop()
        records = [*(server.archive / "archive").glob("*/*/*/*/.upload.json")]
        flip_bits(records, flips=FLIPS, seed=seed)
        for path in (server.archive / "private").glob("index.sqlite3*"):
            path.unlink()
        server.start()
        wait_until_complete(server)
        for receipt, content in zip(receipts, [*PLAIN, ARCHIVE], strict=True):
            name = f"{receipt['path']['upload']}/{receipt['upload']['filename']}"
            assert (server.archive / name).read_bytes() == content
            assert server.request("GET", f"/{name}").body == content
            shown = server.request("GET", f"/uploads/{receipt['upload']['id']}")
            text = (server.archive / receipt["path"]["upload"] / ".upload.json").read_bytes()
            assert shown.status == (200 if can_be_read(text) else 500)
        for content in PLAIN:
            upload_to(server, BOB, content)
            assert server.knows(digest(content)) == 200


def can_be_read(text: bytes) -> bool:
    """Whether a record is one still, after what the disk did to it."""
    try:
        Record.from_bytes(text)
    except ValueError:
        return False
    return True


def wait_until_complete(server: LiveServer) -> None:
    unknown = digest(b"never uploaded", "md5")
    wait_until(lambda: server.knows(unknown) == 404, seconds=30, what="the index is complete")


class TestCopies:
    """``cp -r`` makes a file of its own of every name."""

    @pytest.fixture
    def copy(self, server: LiveServer, servers: ServerFactory) -> LiveServer:
        self.receipts = fill(server)
        server.stop()
        copy = servers.new(REPLICATE_0=TEMPLATE)
        subprocess.run(["cp", "-r", str(server.archive), str(copy.archive)], check=True)
        shutil.rmtree(server.archive)
        return copy

    def test_all_of_a_copy_is_there(self, copy: LiveServer) -> None:
        with copy:
            assert_all_is_there(copy, self.receipts)

    def test_without_its_index_as_well(self, copy: LiveServer) -> None:
        for path in (copy.archive / "private").glob("index.sqlite3*"):
            path.unlink()
        with copy:
            assert {copy.knows(sha256) for sha256 in contents()} <= {200, 503}
            wait_until_complete(copy)
            assert_all_is_there(copy, self.receipts)

    def test_equal_content_is_still_kept_once(self, copy: LiveServer) -> None:
        with copy:
            blob = copy.archive / self.receipts[0]["path"]["blob"]
            inode = blob.stat().st_ino
            again = upload_to(copy, BOB, PLAIN[0])
            kept = copy.archive / again["path"]["upload"] / again["upload"]["filename"]
            assert (kept.stat().st_ino, blob.stat().st_ino) == (inode, inode)
            tree = upload_to(copy, BOB, ARCHIVE, "results.tgz")
            assert len(list((copy.archive / tree["path"]["archive"] / "d").iterdir())) == 50


class TestGarbageWhileServing:
    def test_an_index_that_turns_to_garbage_denies_nothing_and_is_made_anew(
        self, server: LiveServer
    ) -> None:
        receipts = fill(server)
        index = server.archive / "private" / "index.sqlite3"
        # As a broken disk: the same file, other bytes, in the middle of everything.
        with index.open("r+b") as file:
            file.write(b"garbage" * (index.stat().st_size // 7))
        statuses = {server.knows(sha256) for sha256 in contents()}
        assert statuses <= {200, 503}
        assert upload_to(server, BOB, b"kept all the same")["status"] == "Success"
        wait_until_complete(server)
        assert_all_is_there(server, receipts)
        assert server.knows(digest(b"kept all the same")) == 200
        server.stop()
        server.start()
        wait_until_complete(server)
        assert_all_is_there(server, receipts)
        assert server.knows(digest(b"kept all the same")) == 200
