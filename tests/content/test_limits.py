"""The budget of one unpacking, with a clock that tests turn by hand."""

from __future__ import annotations

import pytest

from httpbucket.content.limits import Budget, UnpackLimits
from httpbucket.domain.unpacking import LimitExceeded

MEBIBYTE = 2**20


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_limits_are_recorded_by_name() -> None:
    assert UnpackLimits().as_mapping() == {
        "max_bytes": 2 * 1024**3,
        "max_members": 100_000,
        "max_ratio": 2000,
        "max_depth": 64,
        "max_path": 1024,
        "max_seconds": 300,
    }


def test_exactly_the_limit_is_allowed() -> None:
    budget = Budget(UnpackLimits(max_bytes=10, max_members=2), source_size=1)
    budget.spend(10)
    budget.count_member()
    budget.count_member()
    with pytest.raises(LimitExceeded) as refusal:
        budget.spend(1)
    assert (refusal.value.limit, refusal.value.allowed) == ("UNPACK_MAX_BYTES", 10)
    with pytest.raises(LimitExceeded) as refusal:
        budget.count_member()
    assert refusal.value.finding.problem == "unpack-limit"
    assert str(refusal.value) == "The archive file holds more than 2 members (UNPACK_MAX_MEMBERS)."


def test_time_counts_from_first_use_and_is_looked_at_with_every_member_and_piece() -> None:
    clock = Clock()
    budget = Budget(UnpackLimits(max_seconds=5), source_size=1, clock=clock)
    clock.seconds = 1000
    budget.check_time()
    clock.seconds = 1005
    budget.spend(1)
    budget.count_member()
    clock.seconds = 1005.1
    for act in (budget.check_time, budget.count_member, lambda: budget.spend(0)):
        with pytest.raises(LimitExceeded, match="UNPACK_MAX_SECONDS"):
            act()


def test_the_ratio_is_of_bytes_out_to_bytes_in() -> None:
    limits = UnpackLimits(max_ratio=300)
    Budget(limits, source_size=1).spend(256 * MEBIBYTE)
    Budget(limits, source_size=MEBIBYTE).spend(300 * MEBIBYTE)
    with pytest.raises(LimitExceeded, match="UNPACK_MAX_RATIO"):
        Budget(limits, source_size=1).spend(256 * MEBIBYTE + 1)


def test_a_second_stage_counts_bytes_anew_but_not_members_or_time() -> None:
    clock = Clock()
    limits = UnpackLimits(max_bytes=10, max_members=1, max_seconds=5)
    budget = Budget(limits, source_size=1, clock=clock)
    budget.spend(10)
    budget.count_member()
    budget.next_stage(10)
    budget.spend(10)
    with pytest.raises(LimitExceeded):
        budget.count_member()
    clock.seconds = 6
    with pytest.raises(LimitExceeded):
        budget.check_time()
