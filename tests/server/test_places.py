"""Places are for requests at work; who waits lends its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from httpbucket.server import places
from httpbucket.server.places import Places

GUARD_SECONDS = 15.0


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def take(one: Places) -> bool:
    with one.taken():
        return True


def is_waiting(future: Future[bool]) -> bool:
    return not future.done()


def test_there_are_so_many(pool: ThreadPoolExecutor) -> None:
    one = Places(1)
    with one.taken():
        other = pool.submit(take, one)
        assert is_waiting(other)
    assert other.result(GUARD_SECONDS)


def test_a_lent_place_is_anothers(pool: ThreadPoolExecutor) -> None:
    one = Places(1)
    with one.taken():
        with one.lent():
            assert pool.submit(take, one).result(GUARD_SECONDS)
        other = pool.submit(take, one)
        assert is_waiting(other)
    assert other.result(GUARD_SECONDS)


def test_who_lent_waits_for_it_to_come_back(pool: ThreadPoolExecutor) -> None:
    one = Places(1)
    taken, may_end = threading.Event(), threading.Event()

    def work() -> None:
        with one.taken():
            taken.set()
            assert may_end.wait(GUARD_SECONDS)

    with one.taken():
        with one.lent():
            other = pool.submit(work)
            assert taken.wait(GUARD_SECONDS)
            may_end.set()
        other.result(GUARD_SECONDS)


def test_who_gets_none_back_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "RETURN_SECONDS", 0.01)
    one = Places(1)
    ended = threading.Event()

    def hold(taken: threading.Event) -> None:
        with one.taken():
            taken.set()
            assert ended.wait(GUARD_SECONDS)

    with one.taken():
        with one.lent():
            taken = threading.Event()
            holder = threading.Thread(target=hold, args=(taken,))
            holder.start()
            assert taken.wait(GUARD_SECONDS)
        # It has none to lend now, and gives none back that it has not.
        with one.lent():
            pass
    ended.set()
    holder.join()
    with ThreadPoolExecutor(1) as pool, one.taken():
        other = pool.submit(take, one)
        assert is_waiting(other)


def test_an_error_gives_it_back() -> None:
    one = Places(1)
    with pytest.raises(TimeoutError), one.taken(), one.lent():
        raise TimeoutError
    assert take(one)


def test_who_has_none_lends_none(pool: ThreadPoolExecutor) -> None:
    one = Places(1)
    with one.lent(), one.taken():
        other = pool.submit(take, one)
        assert is_waiting(other)
    assert other.result(GUARD_SECONDS)
