"""One sync serves all who asked before it began, and nobody who asked later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from httpbucket.storage.local.shared_syncs import SharedSyncs
from tests.live.server import wait_until

GUARD_SECONDS = 15.0


class SlowDisk:
    """Each sync waits until it is let go, and then fails or not."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go_on = threading.Semaphore(0)
        self.error: BaseException | None = None

    def sync(self, name: str) -> None:
        self.begun.append(name)
        assert self.go_on.acquire(timeout=GUARD_SECONDS)
        if self.error:
            raise self.error

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.begun) == count, seconds=GUARD_SECONDS, what="syncs began")


def all_wait(syncs: SharedSyncs, run: Callable[[], Future[None]], count: int) -> list[Future[None]]:
    """So many who ask for one name, of which each has asked."""
    asked = [run() for _ in range(count)]
    wait_until(lambda: "day" in syncs._next, seconds=GUARD_SECONDS, what="somebody waits")
    return asked


def test_who_asks_while_a_sync_is_under_way_waits_for_the_next() -> None:
    disk = SlowDisk()
    syncs = SharedSyncs(disk.sync)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(syncs.sync, "day")
        disk.wait_for(1)
        later = all_wait(syncs, lambda: threads.submit(syncs.sync, "day"), 7)
        disk.go_on.release()
        first.result(GUARD_SECONDS)
        disk.wait_for(2)
        assert not any(one.done() for one in later)
        disk.go_on.release(8)
        for one in later:
            one.result(GUARD_SECONDS)
    # Those who had not yet asked when the second began made a third necessary, at most.
    assert 2 <= len(disk.begun) <= 3


def test_syncs_of_different_names_do_not_wait_for_each_other() -> None:
    disk = SlowDisk()
    syncs = SharedSyncs(disk.sync)
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(syncs.sync, name) for name in ("one", "other")]
        disk.wait_for(2)
        disk.go_on.release(2)
        for each in both:
            each.result(GUARD_SECONDS)


@pytest.mark.parametrize("error", [OSError(5, "input/output error"), MemoryError()])
def test_all_who_waited_for_a_sync_that_failed_are_told(error: BaseException) -> None:
    disk = SlowDisk()
    syncs = SharedSyncs(disk.sync)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(syncs.sync, "day")
        disk.wait_for(1)
        later = all_wait(syncs, lambda: threads.submit(syncs.sync, "day"), 3)
        disk.go_on.release()
        first.result(GUARD_SECONDS)
        disk.wait_for(2)
        disk.error = error
        disk.go_on.release(3)
        for one in later:
            assert one.exception(GUARD_SECONDS) is error
    disk.error = None
    disk.go_on.release()
    syncs.sync("day")


def test_many_at_once_each_return_after_a_sync_that_began_after_they_asked() -> None:
    began = [0]
    ended = [0]
    under_way = threading.Lock()

    def sync(name: str) -> None:
        with under_way:
            began[0] += 1
            ended[0] = began[0]

    syncs = SharedSyncs(sync)

    def ask() -> int:
        late = 0
        for _ in range(500):
            before = began[0]
            syncs.sync("day")
            late += ended[0] <= before
        return late

    with ThreadPoolExecutor(8) as threads:
        assert [one.result(60) for one in [threads.submit(ask) for _ in range(8)]] == [0] * 8
    assert (syncs._next, syncs._under_way) == ({}, {})
