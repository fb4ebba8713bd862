"""The operator's verbs on a store whose server runs, and what the server does by itself."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.builders import tar, tar_member
from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer, digest, wait_until


def call(server: LiveServer, *arguments: str, status: int = 0, **settings: str) -> Any:
    """What the verb prints as JSON."""
    finished = subprocess.run(
        [sys.executable, "-m", "httpbucket", *arguments, "--json"],
        env=server.environ | settings,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (finished.returncode, finished.stderr) == (status, ""), finished
    return json.loads(finished.stdout)


@contextmanager
def asked_again_and_again(server: LiveServer, digests: Sequence[str]) -> Iterator[set[int]]:
    """The statuses that ``HEAD /checksum`` has for these meanwhile, at least once each."""
    statuses, is_over = set[int](), threading.Event()

    def ask() -> None:
        while True:
            statuses.update(map(server.knows, digests))
            if is_over.is_set():
                return

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield statuses
    finally:
        is_over.set()
        thread.join()


def test_every_verb_runs_beside_the_server(servers: ServerFactory) -> None:
    server = servers.start(REPLICATE_0="user/${USERNAME}", FSYNC="off")
    content = b"of a producer"
    server.upload(content, Username="bob")
    assert call(server, "stats")["uploads"] == 1
    assert call(server, "scrub")["rotten"] == []
    assert call(server, "expire") == {"uploads": 0, "bytes_freed": 0}
    assert call(server, "collect", "--despite-lost-leases")["blobs"] == 0
    (kept,) = call(server, "why", digest(content))["contents"]
    assert len(kept["uploads"][0]["paths"]) == 2
    assert server.knows(digest(content)) == 200


def test_nothing_is_ever_unknown_while_the_index_is_made_anew(servers: ServerFactory) -> None:
    server = servers.start(FSYNC="off")
    contents = [f"content {number}".encode() for number in range(100)]
    for content in contents:
        server.upload(content)
    by_md5 = [digest(content, "md5") for content in contents[::10]]
    by_sha256 = [digest(content) for content in contents[::10]]
    with (
        asked_again_and_again(server, by_md5) as of_md5,
        asked_again_and_again(server, by_sha256) as of_sha256,
    ):
        for _ in range(3):
            assert call(server, "reindex")["taken_in"] == len(contents)
            server.upload(b"meanwhile")
            contents.append(b"meanwhile")
    assert of_sha256 == {200}
    assert of_md5 <= {200, 503}
    assert {server.knows(digest(content, "md5")) for content in contents} == {200}


def test_ten_thousand_contents_are_indexed_anew_without_one_being_denied(
    servers: ServerFactory,
) -> None:
    server = servers.start(FSYNC="off")
    members = [b"member %d" % number for number in range(10_000)]
    packed = tar(*(tar_member(f"{number}.txt", one) for number, one in enumerate(members)))
    assert server.upload(packed, "many.tar")["path"]["archive"]
    some = [digest(one) for one in members[::1000]]
    with asked_again_and_again(server, some) as statuses:
        assert call(server, "reindex", "--index-only")["taken_in"] == 1
    assert statuses == {200}
    assert {server.knows(digest(one, "md5")) for one in members[::1000]} == {200}


def test_what_a_scrub_takes_out_is_not_told_to_be_there(servers: ServerFactory) -> None:
    server = servers.start(FSYNC="off")
    content = b"to be spoilt"
    server.upload(content)
    sha256 = digest(content)
    path = server.archive / "blob" / sha256[:2] / sha256[2:4] / sha256
    path.chmod(0o600)
    path.write_bytes(content.upper())
    (rotten,) = call(server, "scrub", status=1)["rotten"]
    assert rotten["blob"] == f"sha256:{sha256}"
    assert server.knows(sha256) == 404
    server.upload(content)
    assert server.knows(sha256) == 200
    assert call(server, "scrub")["healed"] == [f"sha256:{sha256}"]


def test_the_server_collects_by_itself_in_one_worker(servers: ServerFactory) -> None:
    server = servers.start(FSYNC="off", COLLECT_GRACE_SECONDS="0", LEASE_SECONDS="1")
    server.stop()
    content = b"an orphan"
    sha256 = digest(content)
    path = server.archive / "blob" / sha256[:2] / sha256[2:4] / sha256
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    for note in (server.archive / "private" / "notes").iterdir():
        note.unlink()
    server.start()
    wait_until(lambda: "Freed 1 contents" in server.log, seconds=60, what="the orphan is collected")
    server.stop()
    assert not path.exists()
    assert server.log.count("Freed ") == 1
