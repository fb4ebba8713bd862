"""The order of an upload's system calls: synced before it is named, named before it is answered."""

from __future__ import annotations

import gzip
import random
import sys
from collections.abc import Sequence

import pytest

from tests.builders import tar, tar_member
from tests.live.conftest import ServerFactory
from tests.live.replica_clients import BOB, TEMPLATE, upload_to
from tests.live.server import SERVE, LiveServer
from tests.live.tracing import CALLS, SYNCING, Call, WriteOrder, attached, calls_in

#: As on a file system that has no unnamed files.
WITHOUT_UNNAMED = (
    "import os; del os.O_TMPFILE; from httpbucket.cli.main import main; "
    "raise SystemExit(main(['serve']))"
)

WAYS = {"unnamed": SERVE, "named": (sys.executable, "-c", WITHOUT_UNNAMED)}


def content_of(kind: str, number: int) -> tuple[bytes, str]:
    """A new content of this kind, and a filename for it."""
    chance = random.Random(number)
    if kind == "small":
        # It waits in memory.
        return chance.randbytes(10_000), "results.bin"
    if kind == "plain":
        return chance.randbytes(300_000), "results.bin"
    if kind == "large":
        return chance.randbytes(3_000_000), "results.bin"
    if kind == "compressed":
        return gzip.compress(b"%d " % number * 50_000), "results.log.gz"
    members = [
        tar_member("top/small.txt", b"%d" % number),
        tar_member("top/below/deeper/large.bin", chance.randbytes(200_000)),
        tar_member("top/empty.txt", b""),
    ]
    return gzip.compress(tar(*members)), "results.tgz"


KINDS = ("small", "plain", "large", "compressed", "archive")


def trace_of_uploads(server: LiveServer, kinds: Sequence[str], *, number: int = 1) -> list[Call]:
    """The calls of the only worker while contents of these kinds are uploaded."""
    (worker,) = server.workers()
    output = server.directory / "trace"
    with attached(worker, output, f"trace={','.join(CALLS)}"):
        for place, kind in enumerate(kinds):
            content, filename = content_of(kind, number + place)
            upload_to(server, BOB, content, filename)
        # A call whose end is not told yet would be missing: the last answer's, above all. The only
        # thread has returned from it when it answers again.
        assert server.request("GET", "/uploads/none").status == 404
    return list(calls_in(output.read_text()))


def start(servers: ServerFactory, way: str = "unnamed", **settings: str) -> LiveServer:
    return servers.start(
        command=WAYS[way],
        WEB_CONCURRENCY="1",
        THREADS="1",
        REPLICATE_0=TEMPLATE,
        **settings,
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_named_was_synced_and_what_is_answered_was_named(
    servers: ServerFactory, kind: str, way: str
) -> None:
    server = start(servers, way)
    order = WriteOrder(server.archive)
    order.follow(trace_of_uploads(server, [kind] * 2))
    assert order.mistakes == []
    assert (order.answers, order.published) == (2, 2)
    assert (order.synced_at_once > 0) is (kind == "archive")


@pytest.mark.parametrize("way", WAYS)
def test_unnamed_files_are_used_where_there_are_any(servers: ServerFactory, way: str) -> None:
    server = start(servers, way)
    calls = trace_of_uploads(server, ["plain"])
    unnamed = [call for call in calls if "O_TMPFILE" in call.arguments]
    linked = [call for call in calls if '"/proc/self/fd/' in call.arguments]
    assert (len(unnamed), len(linked)) == ((1, 1) if way == "unnamed" else (0, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_content_that_is_there_already_is_answered_after_a_sync_as_well(
    servers: ServerFactory, kind: str
) -> None:
    """Who brought it first may not have come to syncing its directory."""
    server = start(servers)
    content, filename = content_of(kind, 1)
    upload_to(server, BOB, content, filename)
    calls = trace_of_uploads(server, [kind])
    order = WriteOrder(server.archive)
    order.follow(calls)
    assert order.mistakes == []
    synced = [call.file for call in calls if call.name == "fsync"]
    assert [path for path in synced if path.startswith(f"{server.archive}/blob/")] != []


@pytest.mark.parametrize("way", WAYS)
def test_without_fsync_nothing_of_an_upload_is_synced(servers: ServerFactory, way: str) -> None:
    server = start(servers, way, FSYNC="off")
    calls = trace_of_uploads(server, KINDS)
    private = server.archive / "private"
    # SQLite's own, for the index and the directory that it lies in.
    theirs = (str(private / "index.sqlite3"), str(private / "index.sqlite3-wal"), str(private))
    assert {call.file for call in calls if call.name in SYNCING} - {*theirs} == set()
    assert sum("HTTP/1.1 200" in call.arguments for call in calls) == len(KINDS)


def test_an_order_that_is_wrong_would_be_noticed(servers: ServerFactory) -> None:
    """The audit itself: every sync that is left out of a right trace is missed."""
    server = start(servers)
    calls = trace_of_uploads(server, ["plain", "archive"])
    syncs = [
        place
        for place, call in enumerate(calls)
        if call.name in {"fsync", "syncfs"} and "/private/index" not in call.file
    ]
    missed = [place for place in syncs if not mistakes_without(server, calls, place)]
    # Some are repeated, as those of directories that other processes may have made.
    assert len(missed) < len(syncs) / 2


def mistakes_without(server: LiveServer, calls: Sequence[Call], place: int) -> list[str]:
    order = WriteOrder(server.archive)
    order.follow([*calls[:place], *calls[place + 1 :]])
    return order.mistakes
