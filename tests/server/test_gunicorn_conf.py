"""gunicorn's hooks: how a worker begins and ends."""

from __future__ import annotations

import gc
import logging
import queue
import signal
from collections.abc import Iterator
from types import FrameType, SimpleNamespace

import pytest

from httpbucket.server import gunicorn_conf, tested_gunicorn

ENDING = (signal.SIGINT, signal.SIGQUIT)


class Worker:
    """Counts how often it was asked to end when its requests have ended."""

    def __init__(self) -> None:
        self.asked = 0

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1


def test_what_was_imported_is_nothing_for_the_garbage_collector() -> None:
    gunicorn_conf.on_starting(SimpleNamespace())
    try:
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()


@pytest.fixture
def _usual_signals() -> Iterator[None]:
    usual = {number: signal.getsignal(number) for number in ENDING}
    yield
    for number, handler in usual.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_usual_signals")
def test_every_signal_that_ends_a_worker_lets_its_requests_end() -> None:
    worker = Worker()
    gunicorn_conf._end_alike_on_every_signal(worker)
    for number in ENDING:
        signal.raise_signal(number)
    assert worker.asked == len(ENDING)


@pytest.mark.parametrize(
    ("came", "lives_on"),
    [
        ([], True),
        ([signal.SIGCHLD, signal.SIGHUP], True),
        ([signal.SIGCHLD, signal.SIGTERM], False),
        ([signal.SIGQUIT, signal.SIGHUP], False),
    ],
)
def test_a_worker_that_was_told_to_end_while_it_began_ends(
    came: list[signal.Signals], lives_on: bool
) -> None:
    parent = SimpleNamespace(SIG_QUEUE=queue.SimpleQueue())
    worker = SimpleNamespace(alive=True)
    gunicorn_conf.post_fork(parent, worker)
    for number in came:
        parent.SIG_QUEUE.put(number)
    gunicorn_conf._end_if_told_before(worker)
    assert worker.alive == lives_on


def test_an_untested_gunicorn_is_told_once_a_worker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker = SimpleNamespace(log=logging.getLogger("worker"))
    gunicorn_conf._tell_of_untested_gunicorn(worker)
    assert caplog.messages == []
    monkeypatch.setattr(tested_gunicorn, "TESTED_VERSIONS", frozenset({"1.0"}))
    gunicorn_conf._tell_of_untested_gunicorn(worker)
    (message,) = caplog.messages
    assert "was not tested" in message
