"""The contract of `Stores.in_turn`, on every backend, and what processes add to it."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from httpbucket.domain.errors import Busy, StorageUnavailable
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.locks import in_turn, sweep_turns
from httpbucket.wiring import Stores
from tests.processes import in_children, waiting_child

NAMES = ["key", "", "../../etc/passwd", "x" * 5000, "clé", "caf\udce9", "a\0b\n"]


class TestTurns:
    @pytest.mark.parametrize("name", NAMES)
    def test_any_name_can_be_held_again_and_again(self, stores: Stores, name: str) -> None:
        for _ in range(2):
            with stores.in_turn(name):
                pass

    def test_who_comes_meanwhile_waits_and_others_do_not(self, stores: Stores) -> None:
        order: list[str] = []

        def second() -> None:
            with stores.in_turn("key"):
                order.append("second")

        waiting = threading.Thread(target=second)
        with stores.in_turn("key"):
            waiting.start()
            with stores.in_turn("another key"):
                order.append("first")
        waiting.join(timeout=20)
        assert order == ["first", "second"]

    def test_who_waits_in_vain_is_told(self, stores: Stores) -> None:
        with stores.in_turn("key"), pytest.raises(Busy), stores.in_turn("key", seconds=0.05):
            pass

    def test_who_waits_for_nothing_any_more_stops(self, stores: Stores) -> None:
        with stores.in_turn("key"), pytest.raises(Gone), stores.in_turn("key", go):
            pass

    def test_a_failure_lets_go(self, stores: Stores) -> None:
        with pytest.raises(RuntimeError), stores.in_turn("key"):
            raise RuntimeError
        with stores.in_turn("key"):
            pass


class Gone(Exception):
    pass


def go() -> None:
    raise Gone


def test_a_name_leaves_no_file_behind(local: Stores, layout: Layout) -> None:
    for name in NAMES:
        with local.in_turn(name):
            pass
    assert [path.name for path in layout.locks.glob("turn-*")] == []


def test_what_a_killed_process_left_is_swept_unless_somebody_holds_it(
    local: Stores, layout: Layout
) -> None:
    (layout.locks / "turn-0").touch()
    os.utime(layout.locks / "turn-0", (1, 1))
    (layout.locks / "turn-1").touch()
    with local.in_turn("key"):
        sweep_turns(layout.locks, before=2)
        left = {path.name for path in layout.locks.glob("turn-*")}
        # Of the later one somebody is to hear.
        assert "turn-0" not in left
        assert "turn-1" in left
        sweep_turns(layout.locks, before=time.time() + 60)
        (held,) = layout.locks.glob("turn-*")
        assert held.name not in {"turn-0", "turn-1"}


def test_a_turn_that_cannot_be_made_is_a_refusal(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(StorageUnavailable), in_turn(gone, "key", seconds=1):
        pass


def test_no_two_processes_hold_a_name_together(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    in_children([partial(count, tmp_path, counter, 200) for _ in range(4)])
    assert counter.read_text() == "800"


def test_who_comes_after_a_killed_process_is_told_since_when_it_held_the_name(
    tmp_path: Path,
) -> None:
    held = in_turn(tmp_path, "key", seconds=60)
    before = datetime.now(UTC) - timedelta(seconds=1)
    with waiting_child(held.__enter__):
        pass
    with in_turn(tmp_path, "key", seconds=60) as broken_off:
        assert broken_off is not None
        assert before < broken_off < datetime.now(UTC)
    with in_turn(tmp_path, "key", seconds=60) as broken_off:
        assert broken_off is None


def count(directory: Path, counter: Path, times: int) -> None:
    for _ in range(times):
        with in_turn(directory, "key", seconds=60):
            counter.write_text(str(int(counter.read_text()) + 1))
