"""The same trouble is told once in a while, in one line."""

from __future__ import annotations

import errno
import logging

import pytest

from httpbucket.domain.errors import StorageUnavailable
from httpbucket.web.seldom import SeldomLog
from tests.web.conftest import Site

logger = logging.getLogger("trouble")


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_is_held_back_for_a_while_and_then_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    seldom = SeldomLog(logger, seconds=10, clock=clock)
    for _ in range(5):
        seldom.warning("The disk is full.")
    clock.now += 10
    seldom.warning("The disk is full.")
    assert caplog.messages == [
        "The disk is full.",
        "The disk is full. (4 times more since the last such line)",
    ]


def test_other_lines_are_not_held_back(caplog: pytest.LogCaptureFixture) -> None:
    seldom = SeldomLog(logger, clock=Clock())
    for number in range(250):
        seldom.warning(f"Line {number}.")
    assert caplog.messages == [f"Line {number}." for number in range(250)]


@pytest.mark.parametrize(
    "error",
    [
        StorageUnavailable("The store cannot be used now: too many open files. (test)"),
        OSError(errno.EMFILE, "Too many open files", "/some/where"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_without_descriptors_every_answer_is_503_and_the_log_has_one_line(
    site: Site, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def view() -> str:
        raise error from OSError(errno.EMFILE, "Too many open files")

    site.app.add_url_rule("/raise", view_func=view)
    answers = [site.client.get("/raise") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers["Retry-After"] for answer in answers} == {"5"}
    assert "/some" not in answers[0].text
    assert len(caplog.records) <= 1
    assert [record for record in caplog.records if record.exc_info] == []
