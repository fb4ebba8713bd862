"""Any system call of an upload may fail: it is refused whole or kept whole, and can be repeated.

strace makes one call after the other fail in a running worker, as a disk in trouble would.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.live.conftest import ServerFactory
from tests.live.replica_clients import BOB, TEMPLATE
from tests.live.server import LiveServer, digest, wait_until
from tests.live.test_write_path import KINDS, content_of
from tests.live.tracing import attached
from tests.live.wire import Answer, multipart
from tests.replica_checks import replica_faults

#: What changes the disk. ``openat`` is among them, ``unlink`` is not: what cannot be removed stays.
FAILING = (
    *("openat", "mkdir", "mkdirat", "link", "linkat", "rename", "renameat", "symlink"),
    *("write", "pwrite64", "fsync", "fdatasync", "syncfs", "fchmod", "ftruncate", "fallocate"),
)

#: What the system says, and how it is answered.
ERRORS = {"EIO": 503, "ENOSPC": 507}
ANSWERS = ERRORS | {"EDQUOT": 507, "EROFS": 503, "EMFILE": 503}


@dataclass(frozen=True)
class Attempt:
    """One upload, of which one call is to fail."""

    kind: str
    call: str
    number: int


class Bench:
    """A server with one thread, whose calls can be counted."""

    def __init__(self, servers: ServerFactory) -> None:
        self.server = servers.start(
            WEB_CONCURRENCY="1", THREADS="1", REPLICATE_0=TEMPLATE, MIN_FREE_BYTES="0"
        )
        (self.worker,) = self.server.workers()
        self._trace = servers.directory / "trace"
        self._contents = count(1000)
        # The thread is there, and all that is loaded on first use.
        for kind in KINDS:
            assert send(self.server, *content_of(kind, next(self._contents))).status == 200

    def attempts(self, kind: str) -> Iterator[Attempt]:
        """Every call of an upload of this kind."""
        with attached(self.worker, self._trace, f"trace={','.join(FAILING)}"):
            assert send(self.server, *content_of(kind, next(self._contents))).status == 200
        lines = self._trace.read_text().splitlines()
        called = Counter(
            name
            for line in lines
            for name in FAILING
            if f" {name}(" in line.partition("(")[0] + "("
        )
        for name, times in called.items():
            yield from (Attempt(kind, name, number) for number in range(1, times + 1))

    def outcome(self, attempt: Attempt, error: str) -> int:
        """Upload with that call failing, and hold the store to its promises; the status."""
        content, filename = content_of(attempt.kind, next(self._contents))
        fault = f"inject={attempt.call}:error={error}:when={attempt.number}"
        with attached(self.worker, self._trace, f"trace={attempt.call}", fault):
            answer = send(self.server, content, filename)
        assert answer.status in {200, 503, 507}, (attempt, answer)
        if answer.status == 200:
            assert_kept(self.server, answer, content)
        self.server.wait_for_empty_staging()
        again = send(self.server, content, filename)
        assert again.status == 200, (attempt, again)
        assert_kept(self.server, again, content)
        self.server.wait_for_empty_staging()
        return answer.status


def send(server: LiveServer, content: bytes, filename: str) -> Answer:
    body, kind = multipart(content, filename)
    return server.request("POST", "/upload", body, {"Content-Type": kind, **BOB})


def assert_kept(server: LiveServer, answer: Answer, content: bytes) -> None:
    paths = answer.json["path"]
    assert (server.archive / paths["blob"]).read_bytes() == content
    for path in (paths["decompressed"], paths["archive"], *paths["replicas"]):
        assert path is None or (server.archive / path).exists()
    wait_until(
        lambda: server.knows(digest(content)) == 200, seconds=15, what="what was kept is known"
    )


def wrong_blobs(archive: Path) -> list[Path]:
    """Blobs whose bytes are not those of their name."""
    blobs = (archive / "blob").glob("??/??/*")
    return [path for path in blobs if path.name != hashlib.sha256(path.read_bytes()).hexdigest()]


def run(bench: Bench, attempts: list[Attempt], error: str) -> Counter[int]:
    statuses = Counter(bench.outcome(attempt, error) for attempt in attempts)
    print(f"{len(attempts)} calls failed with {error}: {dict(statuses)}")
    assert wrong_blobs(bench.server.archive) == []
    assert replica_faults(bench.server.archive) == []
    assert "Traceback" not in bench.server.log
    return statuses


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        *((kind, "EIO") for kind in KINDS),
        *(("plain", error) for error in ANSWERS if error != "EIO"),
    ],
)
def test_calls_of_every_name_may_fail(servers: ServerFactory, kind: str, error: str) -> None:
    bench = Bench(servers)
    every = list(bench.attempts(kind))
    # The first and the last of each name, and some in between.
    last = Counter(attempt.call for attempt in every)
    chosen = [one for one in every if one.number in {1, last[one.call] // 2, last[one.call]}]
    statuses = run(bench, chosen, error)
    assert set(statuses) == {200, ANSWERS[error]}


@pytest.mark.long
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_call_may_fail(servers: ServerFactory, kind: str, error: str) -> None:
    bench = Bench(servers)
    statuses = run(bench, list(bench.attempts(kind)), error)
    assert statuses[ERRORS[error]] > 10
