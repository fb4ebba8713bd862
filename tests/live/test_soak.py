"""Everything at once for a long time: nothing grows that has no reason to, and all stays whole."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import pytest

from tests.live.conftest import ServerFactory
from tests.live.mixed_clients import SETTINGS
from tests.live.server import LiveServer, wait_until
from tests.live.test_crash_mix import CrashTest
from tests.live.upkeep import Upkeep, rss

MIB = 1024**2

#: On a busy machine a phase takes long, and the upkeep needs some to come to everything.
FEWEST_PHASES = 4

#: How long the long run goes on.
SECONDS = float(os.environ.get("SOAK_SECONDS", "3600"))


@dataclass(frozen=True)
class Measure:
    """What a server and the upkeep of its store take while no request is under way."""

    workers: int
    upkeep: int
    descriptors: int


def measure(server: LiveServer, upkeep: Upkeep) -> Measure:
    """Once staging is empty; memory in bytes.

    Neither connections count, which linger for a while, nor what each thread has on the index.
    """
    wait_until(lambda: not server.staged_names(), seconds=5, what="staging is empty")
    passing = ("socket:", f"{server.archive}/private/index.sqlite3")
    files = [path for path in server.open_files() if not path.startswith(passing)]
    return Measure(max(map(rss, server.workers())), upkeep.rss, len(files))


@pytest.fixture
def soak(servers: ServerFactory) -> Iterator[CrashTest]:
    server = servers.start(WEB_CONCURRENCY="2", **SETTINGS)
    with Upkeep(server) as upkeep:
        yield CrashTest(server, upkeep)


@pytest.mark.parametrize(
    ("seconds", "phase", "growth"),
    [
        # The first phases load what is loaded on first use.
        pytest.param(5, 1.2, 32 * MIB, id="short"),
        # After a third of the hour; who leaves a KiB of each of some 20,000 acts fails it.
        pytest.param(SECONDS, 30.0, 16 * MIB, id="hour", marks=pytest.mark.long),
    ],
)
def test_nothing_grows(soak: CrashTest, seconds: float, phase: float, growth: int) -> None:
    wait_until(lambda: len(soak.server.workers()) == 2, seconds=30, what="both workers are there")
    workers = soak.server.workers()
    soak.upkeep.start()
    measures = list[Measure]()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends or len(measures) < FEWEST_PHASES:
        load(soak, phase)
        measures.append(measure(soak.server, soak.upkeep))
        print(measures[-1], flush=True)
        for client in soak.clients:
            client.forget_half()
    done = soak.upkeep.stop()
    print(f"{soak.ledger.acts} acts; upkeep: {dict(done)}")
    assert soak.server.workers() == workers
    begun, ended = middle(measures[len(measures) // 3 :][:5]), middle(measures[-5:])
    assert ended.workers - begun.workers < growth
    assert ended.upkeep - begun.upkeep < growth
    assert ended.descriptors - begun.descriptors < 3
    assert min(done[what] for what in ("rounds", "expired", "collected", "scrubbed")) > 0
    assert soak.untruths() == []
    assert soak.leftovers() == set()
    assert "Traceback" not in soak.server.log


def load(soak: CrashTest, seconds: float) -> None:
    """All clients at work for so long."""
    ended = Event()
    with ThreadPoolExecutor(len(soak.clients)) as pool:
        running = [pool.submit(client.work, ended) for client in soak.clients]
        ended.wait(seconds)
        ended.set()
        for client in running:
            client.result()
    assert [client.pending for client in soak.clients if client.pending] == []


def middle(measures: list[Measure]) -> Measure:
    """The median of each, so that one moment does not decide."""
    return Measure(
        *(
            round(statistics.median(getattr(one, name) for one in measures))
            for name in ("workers", "upkeep", "descriptors")
        )
    )
