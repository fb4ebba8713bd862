"""The pool grows with what waits, and shrinks again."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from httpbucket.server.growing_pool import GrowingPool
from tests.live.server import wait_until

GUARD_SECONDS = 15.0


@contextmanager
def pool_of(*, stay: int, most: int, linger_seconds: float = 0.05) -> Iterator[GrowingPool]:
    pool = GrowingPool(stay=stay, most=most, linger_seconds=linger_seconds)
    yield pool
    pool.shutdown()
    assert pool.count == 0


def block(pool: GrowingPool, count: int, until: threading.Event) -> None:
    """So many calls are under way until the event."""
    started = threading.Barrier(count + 1, timeout=GUARD_SECONDS)

    def wait() -> None:
        started.wait()
        assert until.wait(GUARD_SECONDS)

    for _ in range(count):
        pool.submit(wait)
    started.wait()


def test_results_and_errors_come_back() -> None:
    with pool_of(stay=1, most=2) as pool:
        assert pool.submit(divmod, 7, 2).result(GUARD_SECONDS) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 7, 0).result(GUARD_SECONDS)


def test_one_call_after_the_other_takes_one_thread() -> None:
    with pool_of(stay=2, most=8) as pool:
        threads = {pool.submit(threading.get_ident).result(GUARD_SECONDS)}
        for _ in range(20):
            wait_until(lambda: pool.idle == 1, seconds=GUARD_SECONDS, what="the thread is idle")
            threads.add(pool.submit(threading.get_ident).result(GUARD_SECONDS))
        assert len(threads) == pool.count == 1


def test_it_grows_while_calls_wait_and_shrinks_again() -> None:
    with pool_of(stay=2, most=8) as pool:
        ended = threading.Event()
        block(pool, 8, ended)
        assert pool.count == 8
        more = [pool.submit(threading.get_ident) for _ in range(5)]
        assert pool.count == 8
        ended.set()
        for one in more:
            one.result(GUARD_SECONDS)
        wait_until(lambda: pool.count == 2, seconds=GUARD_SECONDS, what="only two threads stay")
        assert pool.submit(divmod, 7, 2).result(GUARD_SECONDS) == (3, 1)


def test_a_thread_too_many_waits_for_more_work_before_it_ends() -> None:
    with pool_of(stay=1, most=8, linger_seconds=GUARD_SECONDS) as pool:
        ended = threading.Event()
        block(pool, 8, ended)
        ended.set()
        wait_until(lambda: pool.idle == 8, seconds=GUARD_SECONDS, what="all are idle")
        again = threading.Event()
        block(pool, 8, again)
        assert pool.count == 8
        again.set()


def test_every_call_is_done_once_while_threads_come_and_go() -> None:
    done: deque[int] = deque()
    with pool_of(stay=1, most=4, linger_seconds=0.0005) as pool:
        for number in range(3_000):
            future = pool.submit(done.append, number)
            if number % 7 == 0:
                future.result(GUARD_SECONDS)
            if number % 100 == 0:
                wait_until(lambda: pool.idle == pool.count, seconds=GUARD_SECONDS, what="idle")
        pool.shutdown()
    assert sorted(done) == list(range(3_000))


def test_after_the_end_nothing_is_taken_and_everything_is_done() -> None:
    pool = GrowingPool(stay=2, most=1)
    ended = threading.Event()
    block(pool, 1, ended)
    waiting = pool.submit(divmod, 7, 2)
    pool.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(divmod, 7, 2)
    ended.set()
    assert waiting.result(GUARD_SECONDS) == (3, 1)
    pool.shutdown()
    assert pool.count == 0


def test_a_call_that_was_cancelled_is_not_done() -> None:
    with pool_of(stay=1, most=1) as pool:
        ended = threading.Event()
        block(pool, 1, ended)
        calls: list[int] = []
        assert pool.submit(calls.append, 1).cancel()
        ended.set()
        pool.submit(calls.append, 2).result(GUARD_SECONDS)
        assert calls == [2]


def test_where_no_thread_can_be_started_those_that_run_do_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pool_of(stay=1, most=8) as pool:
        ended = threading.Event()
        block(pool, 1, ended)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            waiting = pool.submit(divmod, 7, 2)
        ended.set()
        assert waiting.result(GUARD_SECONDS) == (3, 1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="start new thread"):
            GrowingPool(stay=1, most=1).submit(divmod, 7, 2)
