"""Digests in portions: all of them once, near ones together."""

from __future__ import annotations

import hashlib

from httpbucket.domain.checksum_runs import ChecksumRun
from httpbucket.services.digests_in_order import PORTION, in_order

VALUES = [hashlib.sha256(b"%d" % number).digest() for number in range(3 * PORTION)]


def run_of(values: list[bytes], *algorithms: str) -> ChecksumRun:
    return ChecksumRun(algorithms, len(values[0]), b"".join(values), b"")


def test_every_digest_comes_once_with_its_place() -> None:
    md5s = [value[:16] for value in VALUES]
    runs = [run_of(VALUES[:9], "a", "b"), run_of(md5s, "md5"), run_of(VALUES[9:], "a", "b")]
    portions = list(in_order(runs))
    assert all(0 < len(portion.values) <= PORTION for portion in portions)
    found = {
        place: (portion.algorithms, value)
        for portion in portions
        for place, value in zip(portion.places, portion.values, strict=True)
    }
    every = [(run.algorithms, value) for run in runs for value in run.values()]
    assert [found[place] for place in range(len(every))] == every
    assert sum(len(portion.values) for portion in portions) == len(every)


def test_near_digests_come_together() -> None:
    firsts = [value[0] for portion in in_order([run_of(VALUES, "a")]) for value in portion.values]
    assert firsts == sorted(firsts)


def test_equal_digests_do_not_make_a_portion_larger() -> None:
    portions = list(in_order([run_of(VALUES[:1] * (PORTION + 1), "a")]))
    assert [len(portion.values) for portion in portions] == [PORTION, 1]


def test_of_nothing_there_is_no_portion() -> None:
    assert list(in_order([])) == []
