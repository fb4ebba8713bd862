"""The longest lists of digests are answered or refused by a worker that hardly grows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer
from tests.live.wire import Answer, chunk, request_head

MIB = 1024**2
MOST = 100_000
LONGEST = 16 * MIB

#: By so much a worker may grow.
MOST_GROWN = 15 * MIB


class LoneWorker:
    """A server with a single worker, whose size is watched from its start on."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server
        (self._pid,) = server.workers()
        self._idle = self._peak()

    def grown(self) -> int:
        """By how many bytes it has ever grown."""
        return self._peak() - self._idle

    def _peak(self) -> int:
        status = Path(f"/proc/{self._pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].partition("kB")[0]) * 1024


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneWorker]:
    """One for all lists: whatever they leave behind counts as well."""
    with LiveServer(tmp_path_factory.mktemp("lone"), WEB_CONCURRENCY="1") as server:
        yield LoneWorker(server)


def digest(number: int, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, b"%d" % number).hexdigest()


def lines(count: int = MOST, *, algorithm: str = "sha256", name: str = "x" * 98) -> bytes:
    return "".join(f"{digest(number, algorithm)}  {name}\n" for number in range(count)).encode()


def elements(count: int = MOST) -> bytes:
    every = (
        json.dumps({"checksum": f"sha256:{digest(number)}", "filename": "a/b/c.xml"})
        for number in range(count)
    )
    return ("[" + ",\n ".join(every) + "]\n").encode()


def mixed_lines() -> bytes:
    """Every run is of one digest, and each entry needs its length."""
    pairs = ((digest(number), digest(number, "md5")) for number in range(MOST // 2))
    return "".join(f"{one}\n{other}\n" for one, other in pairs).encode()


def bare_md5s() -> bytes:
    return "".join(f"{digest(number, 'md5')}\n" for number in range(MOST)).encode()


ANSWERED: dict[str, Callable[[], bytes]] = {
    "sha256sum": lines,
    "sha512sum": lambda: lines(algorithm="sha512", name="x" * 30),
    "JSON": elements,
    "mixed": mixed_lines,
    "bare": bare_md5s,
}

REFUSED: dict[str, tuple[int, Callable[[], bytes]]] = {
    "one line too many": (413, lambda: lines(MOST + 1, name="x" * 80)),
    "one element too many": (413, lambda: elements(MOST + 1)),
    "the last line": (400, lambda: lines(MOST - 1) + b"no digest"),
    "the last element": (400, lambda: elements(MOST - 1)[:-2] + b', "no digest"]'),
    "no end": (400, lambda: b"[" + b" " * (LONGEST - 1)),
    "no line": (400, lambda: b"x" * LONGEST),
    "nested": (400, lambda: b"[" * LONGEST),
}


@pytest.mark.parametrize("form", ANSWERED)
def test_the_longest_list_is_answered(worker: LoneWorker, form: str) -> None:
    body = ANSWERED[form]()
    answer = worker.server.request("POST", "/checksum", body)
    assert (answer.status, answer.body == body) == (200, True)
    assert worker.grown() < MOST_GROWN


@pytest.mark.parametrize("mistake", REFUSED)
def test_the_longest_list_is_refused(worker: LoneWorker, mistake: str) -> None:
    status, make = REFUSED[mistake]
    body = make()
    answers = [ask(worker.server, body, chunked=chunked) for chunked in (False, True)]
    assert [answer.status for answer in answers] == [status] * 2
    assert worker.grown() < MOST_GROWN


def test_several_at_once_take_far_less_than_each(servers: ServerFactory) -> None:
    worker = LoneWorker(servers.start(WEB_CONCURRENCY="1"))
    body = lines()
    with ThreadPoolExecutor(8) as clients:
        answers = clients.map(lambda _: worker.server.request("POST", "/checksum", body), range(8))
        assert [answer.body == body for answer in answers] == [True] * 8
    assert worker.grown() < 3 * MOST_GROWN


def ask(server: LiveServer, body: bytes, *, chunked: bool) -> Answer:
    if not chunked:
        return server.request("POST", "/checksum", body)
    headers = {"Transfer-Encoding": "chunked", "Connection": "close"}
    with server.connect() as wire:
        wire.send(request_head("POST", "/checksum", headers))
        for start in range(0, len(body), MIB):
            wire.send(chunk(body[start : start + MIB]))
        wire.send(b"0\r\n\r\n")
        return wire.receive_answer("POST")
