"""A list that is put spool comes back as it was added."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from httpbucket.domain.checksum_runs import read_runs
from httpbucket.services.held_checksums import HeldChecksums
from httpbucket.services.spool import Spool
from tests.backends import local_backend
from tests.services.asking import lines

CONTENTS = [b"%d" % number for number in range(3000)]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[HeldChecksums]:
    with Spool(local_backend(tmp_path / "store").stores.staging) as spool:
        yield HeldChecksums(spool)


def test_every_run_comes_back_in_its_order(held: HeldChecksums) -> None:
    # Lines, entries of which each has its length, bare hex that may mean several algorithms.
    escaped = list(read_runs([b"\\" + lines(b"x")[0].raws], preferred="md5"))
    runs = [*lines(*CONTENTS), *escaped, *lines(b"y", preferred="sha3_256"), *lines(b"z", b"y")]
    for run in runs:
        held.add(run)
    assert [list(held), list(held)] == [runs, runs]
    assert held.total == sum(run.total for run in runs)


def test_without_any_there_is_none(held: HeldChecksums) -> None:
    assert (list(held), held.total) == ([], 0)
