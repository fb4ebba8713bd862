"""``kill -9`` while everything goes on at once: whoever was told something was told the truth."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from httpbucket.config import Settings
from httpbucket.domain.digest import EMPTY
from httpbucket.wiring import build, open_local
from tests.live.conftest import ServerFactory
from tests.live.ledger import Kept, Ledger
from tests.live.mixed_clients import SETTINGS, MixedClient
from tests.live.server import LiveServer, wait_until
from tests.live.upkeep import Upkeep
from tests.live.whole_store import WholeStore

CLIENTS = 6
SEED = int(os.environ.get("CRASH_SEED", "20261121"))

#: Uploads that may be left after a round; beyond that, older ones are deleted.
MOST_KEPT = 150


class CrashTest:
    """A server, the upkeep of its store, and clients, round by round."""

    def __init__(self, server: LiveServer, upkeep: Upkeep) -> None:
        self.server = server
        self.upkeep = upkeep
        self.ledger = Ledger()
        self.chance = random.Random(SEED)
        self.clients = [MixedClient(server, self.ledger, SEED + one) for one in range(CLIENTS)]

    def go_through(self, number: int) -> None:
        """Load, a kill, a start, the lost answers, and a look at everything."""
        self._load_and_kill()
        wait_until(lambda: not self.server.staged_names(), seconds=5, what="staging is empty")
        for client in self.clients:
            client.try_again()
        self.upkeep.stop()
        wait_until(self._is_settled, seconds=60, what="all is finished that was cut short")
        assert self.untruths() == [], f"after kill {number}"
        if len(self.ledger.kept) > MOST_KEPT:
            for client in self.clients:
                client.forget_half()

    def _load_and_kill(self) -> None:
        self.upkeep.start()
        ended = Event()
        with ThreadPoolExecutor(CLIENTS) as pool:
            running = [pool.submit(client.work, ended) for client in self.clients]
            # The moment is the point: it is drawn from a fixed seed, and is waited for.
            time.sleep(self.chance.uniform(0.05, 1.5))
            kill = self.chance.choice([self._kill_all, self._kill_all, self._kill_a_worker])
            try:
                kill()
            finally:
                ended.set()
            for client in running:
                client.result()

    def _kill_all(self) -> None:
        self.server.kill()
        self.upkeep.kill()
        self.server.start()
        self.upkeep.start()

    def _kill_a_worker(self) -> None:
        """The others go on, and gunicorn starts another one in its place."""
        killed = self.chance.choice(self.server.workers())
        os.kill(killed, signal.SIGKILL)
        wait_until(
            lambda: killed not in self.server.workers() and len(self.server.workers()) == 2,
            seconds=20,
            what="there is another worker",
        )

    def _is_settled(self) -> bool:
        """A delete that a killed worker began is finished by another one within half a minute."""
        private = self.server.archive / "private"
        is_finished = not any(any((private / name).iterdir()) for name in ("redo", "trash"))
        return is_finished and self.server.request("GET", "/stats").json["complete"] is True

    def untruths(self) -> list[str]:
        """Where the disk, the server's answers and what clients were told differ."""
        store = WholeStore(self.server.archive)
        return [*store.faults(), *self._of_ledger(store), *self._of_answers(store)]

    def _of_ledger(self, store: WholeStore) -> Iterator[str]:
        for kept in self.ledger.kept.values():
            if kept.id in store.records:
                yield from _differences(store, kept)
            elif kept.has_to_stay:
                yield f"{kept.id} is lost"
        yield from (f"{one} is back" for one in self.ledger.deleted & store.records.keys())
        unknown = store.records.keys() - self.ledger.kept.keys() - self.ledger.deleted
        yield from (f"{store.records[one]} is what nobody was told of" for one in unknown)

    def _of_answers(self, store: WholeStore) -> Iterator[str]:
        named = store.named()
        with self.server.connect() as wire:

            def status(method: str, path: str) -> int:
                wire.send_request(method, path)
                return wire.receive_answer(method).status

            for digest in self.ledger.contents | named:
                expected = 200 if digest in named else 404
                if status("HEAD", f"/checksum/sha256:{digest}") != expected:
                    yield f"HEAD of {digest} is not {expected}"
            for upload in self.ledger.kept.keys() | store.records.keys():
                expected = 200 if upload in store.records else 404
                if status("GET", f"/uploads/{upload}") != expected:
                    yield f"GET of {upload} is not {expected}"
        # Expired ones stay away from now on, and digests that are gone need no more asking.
        for kept in [*self.ledger.kept.values()]:
            if kept.id not in store.records:
                self.ledger.forget(kept)
        self.ledger.contents &= named

    def leftovers(self) -> set[str]:
        """Blobs that no upload names and that collecting does not free; leases have ended."""
        self.server.stop()
        settings = Settings.from_environ(self.server.environ)
        stores = open_local(settings)
        later = datetime.now(UTC) + timedelta(days=3)
        build(settings, stores, now=lambda: later).collect.run(later)
        stores.index.close()
        store = WholeStore(self.server.archive)
        return store.blobs() ^ ((store.named() | store.manifests()) - {EMPTY.hex})


def _differences(store: WholeStore, kept: Kept) -> Iterator[str]:
    for path, digest in kept.files.items():
        if not store.shows(path, digest):
            yield f"{path} of {kept.id} is not what was acknowledged"


@pytest.fixture
def crash_test(servers: ServerFactory) -> Iterator[CrashTest]:
    server = servers.start(WEB_CONCURRENCY="2", **SETTINGS)
    with Upkeep(server) as upkeep:
        yield CrashTest(server, upkeep)


@pytest.mark.parametrize("rounds", [10, pytest.param(200, marks=pytest.mark.long)])
def test_whatever_goes_on_a_kill_makes_no_answer_untrue(crash_test: CrashTest, rounds: int) -> None:
    for number in range(rounds):
        crash_test.go_through(number)
    assert crash_test.ledger.acts > 10 * rounds
    assert crash_test.ledger.deleted
    assert crash_test.leftovers() == set()
    assert "Traceback" not in crash_test.server.log
