"""Hashing beside receiving comes to the same digests, holds little and leaves nothing."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from httpbucket.content import crew as crew_module
from httpbucket.content import parallel_hashing
from httpbucket.content.crew import Crew
from httpbucket.content.hashing import ContentHasher, Hasher
from httpbucket.content.parallel_hashing import (
    BATCH_BYTES,
    INLINE_BYTES,
    WAITING_BYTES,
    ParallelHasher,
)
from tests.live.server import wait_until

ALGORITHMS = ["md5", "sha512", "sha3_256"]
GUARD_SECONDS = 15.0
PIECE = bytes(range(256)) * 256


@pytest.fixture
def crew() -> Crew:
    return Crew(4)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes are a large content."""
    for name, size in {"INLINE_BYTES": 10, "BATCH_BYTES": 7, "WAITING_BYTES": 20}.items():
        monkeypatch.setattr(parallel_hashing, name, size)


def said(hasher: Hasher) -> tuple[int, int, dict[str, str]]:
    return hasher.size, hasher.crc32, hasher.digests()


def expected(content: bytes) -> tuple[int, int, dict[str, str]]:
    hasher = ContentHasher(ALGORITHMS)
    hasher.update(content)
    return said(hasher)


def fed(crew: Crew, count: int) -> ParallelHasher:
    """A hasher that got so many pieces."""
    hasher = ParallelHasher(ALGORITHMS, crew)
    for _ in range(count):
        hasher.update(PIECE)
    return hasher


def has_all_rooms(crew: Crew) -> bool:
    return crew._rooms == crew._size // 2


class TestDigests:
    @pytest.mark.usefixtures("_small")
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.lists(st.binary(max_size=30), max_size=20), st.sets(st.integers(0, 20)))
    def test_they_are_those_of_one_thread(self, pieces: list[bytes], asked: set[int]) -> None:
        crew = Crew(4)
        hasher, alone = ParallelHasher(ALGORITHMS, crew), ContentHasher(ALGORITHMS)
        for number, piece in enumerate(pieces):
            hasher.update(piece)
            alone.update(piece)
            if number in asked:
                assert said(hasher) == said(alone)
        assert said(hasher) == said(alone)
        assert has_all_rooms(crew)

    @pytest.mark.parametrize("size", [0, 1, INLINE_BYTES, INLINE_BYTES + 1, 5_000_000])
    def test_they_are_those_of_one_thread_for_large_pieces(self, crew: Crew, size: int) -> None:
        content = (PIECE * (size // len(PIECE) + 1))[:size]
        hasher = ParallelHasher(ALGORITHMS, crew)
        for start in range(0, size, 1_000_000):
            hasher.update(content[start : start + 1_000_000])
        assert said(hasher) == expected(content)

    @pytest.mark.parametrize("kind", [bytearray, memoryview])
    def test_a_buffer_may_be_used_again(
        self, crew: Crew, kind: Callable[[bytearray], bytearray | memoryview]
    ) -> None:
        hasher, buffer = ParallelHasher(ALGORITHMS, crew), bytearray(100_000)
        for number in range(40):
            buffer[:] = bytes([number]) * len(buffer)
            hasher.update(kind(buffer))
        content = b"".join(bytes([number]) * len(buffer) for number in range(40))
        assert said(hasher) == expected(content)

    def test_many_at_once_do_not_mix(self, crew: Crew) -> None:
        def hash_one(number: int) -> bool:
            hasher, piece = ParallelHasher(ALGORITHMS, crew), bytes([number]) * 50_000
            for _ in range(60):
                hasher.update(piece)
            return said(hasher) == expected(piece * 60)

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(hash_one, range(24))) == [True] * 24
        assert has_all_rooms(crew)


class TestBounds:
    def test_a_small_content_needs_no_thread(self, crew: Crew) -> None:
        fed(crew, INLINE_BYTES // len(PIECE)).digests()
        assert crew.count == 0

    def test_there_are_no_more_threads_than_its_size(self, crew: Crew) -> None:
        fed(crew, 100).digests()
        assert 1 <= crew.count <= 4

    def test_threads_end_when_there_is_nothing_to_do(
        self, crew: Crew, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(crew_module, "IDLE_SECONDS", 0.01)
        content = fed(crew, 100)
        assert said(content) == expected(PIECE * 100)
        wait_until(lambda: crew.count == 0, seconds=GUARD_SECONDS, what="the threads end")
        assert said(fed(crew, 100)) == expected(PIECE * 100)

    def test_who_brings_more_than_may_wait_waits(self) -> None:
        crew = Stopped()
        hasher = ParallelHasher(ALGORITHMS, crew)

        def bring() -> None:
            for _ in range(200):
                hasher.update(PIECE)

        bringing = threading.Thread(target=bring)
        bringing.start()
        most = WAITING_BYTES + BATCH_BYTES
        wait_until(
            lambda: hasher._unhashed() > WAITING_BYTES, seconds=GUARD_SECONDS, what="it is full"
        )
        assert hasher._unhashed() <= most
        while bringing.is_alive():
            crew.go_on()
            assert hasher._unhashed() <= most
        bringing.join()
        with ThreadPoolExecutor(1) as pool:
            digests = pool.submit(said, hasher)
            while not digests.done():
                crew.go_on()
        assert digests.result() == expected(PIECE * 200)

    def test_without_room_it_is_hashed_by_who_brings_it(self, crew: Crew) -> None:
        first = [fed(crew, 30) for _ in range(2)]
        assert not crew.enter()
        other = fed(crew, 100)
        assert other._posted == 0
        assert said(other) == expected(PIECE * 100)
        for one in first:
            one.close()
        assert said(fed(crew, 100)) == expected(PIECE * 100)
        assert has_all_rooms(crew)


class TestEnds:
    def test_one_that_is_given_up_is_forgotten(self, crew: Crew) -> None:
        hasher = fed(crew, 100)
        forgotten = weakref.ref(hasher)
        hasher.close()
        hasher.close()
        assert has_all_rooms(crew)
        del hasher
        gc.collect()
        wait_until(lambda: forgotten() is None, seconds=GUARD_SECONDS, what="it is forgotten")
        assert said(fed(crew, 100)) == expected(PIECE * 100)

    def test_a_failure_is_raised_by_the_next_call(
        self, crew: Crew, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(piece: object) -> None:
            raise MemoryError

        monkeypatch.setattr(ContentHasher, "parts", lambda hasher: (fail,))
        with pytest.raises(MemoryError):
            fed(crew, 1000)
        failing = fed(crew, 30)
        with pytest.raises(MemoryError):
            failing.digests()
        failing.close()
        monkeypatch.undo()
        assert said(fed(crew, 100)) == expected(PIECE * 100)

    def test_where_no_thread_can_be_started_who_brings_it_works(
        self, crew: Crew, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert said(fed(crew, 100)) == expected(PIECE * 100)


class Stopped(Crew):
    """A crew that takes steps only when it is told to."""

    def __init__(self) -> None:
        super().__init__(2)
        self._stopped: list[Callable[[], bool]] = []

    def go_on_with(self, step: Callable[[], bool]) -> None:
        self._stopped.append(step)

    def go_on(self) -> None:
        if self._stopped:
            step = self._stopped.pop(0)
            if step():
                self._stopped.append(step)
