"""AskMany: which of very many contents have to be sent?"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from httpbucket.domain.checksum_runs import ChecksumRun
from httpbucket.domain.errors import IndexNotReady
from httpbucket.services.ask_many import AskMany
from httpbucket.services.digests_in_order import PORTION
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.examples import NOW, identity, keep, keep_upload
from tests.services.asking import (
    DAY,
    EXPIRING,
    HOUR,
    THERE,
    add,
    ask_many_of,
    leased,
    lines,
    missing,
    names,
)
from tests.services.fakes import Journal, RecordingIndex


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


@pytest.fixture
def stores(layout: Layout) -> Stores:
    return local_backend(layout.root).stores


@pytest.fixture
def ask(stores: Stores) -> AskMany:
    return ask_many_of(stores)


def unknown(count: int) -> ChecksumRun:
    """A run of so many digests that nobody knows, in no order."""
    digests = [hashlib.sha256(b"%d" % number).digest() for number in range(count)]
    raws = [b"%s  %d\n" % (one.hex().encode(), place) for place, one in enumerate(digests)]
    return ChecksumRun(("sha256",), 32, b"".join(digests), b"".join(raws))


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
def test_those_that_are_not_there_are_told_in_their_order(
    stores: Stores, ask: AskMany, algorithm: str
) -> None:
    add(stores, THERE)
    asked = lines(b"b", THERE, b"a", THERE, b"b", algorithm=algorithm)
    assert names(missing(ask, asked)) == ["b.xml", "a.xml", "b.xml"]


def test_of_more_than_a_portion_too(stores: Stores, ask: AskMany) -> None:
    add(stores, THERE)
    [there], others = lines(THERE), unknown(2 * PORTION + 1)
    expected = others.raws.splitlines(keepends=True)
    assert missing(ask, [there, others, there, *lines(b"x")]) == [*expected, lines(b"x")[0].raws]


def test_nothing_asked_is_nothing_missing(ask: AskMany) -> None:
    assert missing(ask, []) == []


def test_algorithms_may_be_mixed_and_bare_hex_may_mean_several(
    stores: Stores, ask: AskMany
) -> None:
    add(stores, THERE)
    asked = lines(THERE, b"x") + lines(THERE, b"y", algorithm="md5")
    asked += lines(THERE, b"z", preferred="sha3_256")
    assert names(missing(ask, asked)) == ["x.xml", "y.xml", "z.xml"]


def test_a_digest_of_one_algorithm_is_not_taken_for_another(stores: Stores, ask: AskMany) -> None:
    add(stores, THERE)
    [run] = lines(THERE)
    other = run._replace(algorithms=("sha3_256",), raws=b"other")
    assert missing(ask, [other, run]) == [b"other"]


def test_a_blob_that_was_removed_by_hand_is_missing(
    stores: Stores, ask: AskMany, layout: Layout
) -> None:
    add(stores, THERE)
    layout.blob(identity(THERE)).unlink()
    for algorithm in ("sha256", "md5"):
        assert names(missing(ask, lines(THERE, algorithm=algorithm))) == ["there.xml"]


def test_content_that_nothing_names_is_missing(stores: Stores, ask: AskMany) -> None:
    keep(stores, THERE)
    stores.index.mark_complete(agreed_day="")
    assert names(missing(ask, lines(THERE))) == ["there.xml"]


def test_what_expires_too_early_is_leased_in_every_portion(stores: Stores, ask: AskMany) -> None:
    contents = [b"%d" % number for number in range(20)]
    for number, content in enumerate(contents):
        add(stores, content, number=number, expires=NOW + HOUR)
    assert len(missing(ask, [unknown(2 * PORTION)])) == 2 * PORTION - len(contents)
    assert [leased(stores, content, now=NOW + DAY) for content in contents] == [True] * 20


def test_nothing_is_left_in_staging(stores: Stores, ask: AskMany, layout: Layout) -> None:
    stores.index.mark_complete(agreed_day="")
    assert len(missing(ask, [unknown(PORTION)])) == PORTION
    assert [path for path in layout.staging.rglob("*") if path.is_file()] == []


class TestWhileTheIndexIsRebuilt:
    def test_sha256_is_answered_from_the_disk(self, stores: Stores, ask: AskMany) -> None:
        keep_upload(stores, THERE)
        assert names(missing(ask, lines(b"x", THERE))) == ["x.xml"]
        assert leased(stores, THERE)

    def test_the_same_hex_under_two_algorithms_is_two_questions(
        self, stores: Stores, ask: AskMany
    ) -> None:
        stores.index.add(keep_upload(stores, THERE), None)
        [run] = lines(THERE)
        with pytest.raises(IndexNotReady):
            missing(ask, [run._replace(algorithms=("sha3_256",)), run])

    def test_another_digest_is_never_called_missing(self, stores: Stores, ask: AskMany) -> None:
        keep_upload(stores, THERE)
        with pytest.raises(IndexNotReady):
            missing(ask, lines(THERE, algorithm="md5"))

    def test_another_digest_that_is_known_already_is_answered(
        self, stores: Stores, ask: AskMany
    ) -> None:
        stores.index.add(keep_upload(stores, THERE), None)
        assert missing(ask, lines(THERE, algorithm="md5")) == []

    def test_without_any_index_it_is_the_same(self, stores: Stores) -> None:
        keep_upload(stores, THERE)
        index = RecordingIndex(Journal())
        index.refusal = IndexNotReady("not now")
        ask = ask_many_of(stores, index)
        assert names(missing(ask, lines(b"x", THERE))) == ["x.xml"]
        with pytest.raises(IndexNotReady):
            missing(ask, lines(THERE, algorithm="md5"))


class TestTurns:
    def test_long_lists_are_looked_up_one_after_the_other(self, stores: Stores) -> None:
        index = CrowdedIndex(Journal())
        index.mark_complete(agreed_day="")
        ask = ask_many_of(stores, index)
        run = unknown(PORTION + 1)
        threads = [threading.Thread(target=missing, args=(ask, [run])) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (index.questions, index.most_at_once) == (8, 1)

    def test_a_short_list_waits_for_none(self, stores: Stores) -> None:
        index = NestedIndex(Journal())
        index.mark_complete(agreed_day="")
        ask = ask_many_of(stores, index)
        index.meanwhile = lambda: missing(ask, lines(EXPIRING))
        assert len(missing(ask, [unknown(PORTION + 1)])) == PORTION + 1
        assert index.answers == [lines(EXPIRING)[0].raws]


class CrowdedIndex(RecordingIndex):
    """Counts who asks at once."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self._guard = threading.Lock()
        self._at_once = self.most_at_once = self.questions = 0

    def find_many_lasting(self, algorithm: str, values: Sequence[bytes], until: datetime) -> None:
        with self._guard:
            self.questions += 1
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        # Long enough for another to come in between, if one could.
        threading.Event().wait(0.01)
        with self._guard:
            self._at_once -= 1


class NestedIndex(RecordingIndex):
    """Asks another question within the first."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.meanwhile: Callable[[], list[bytes]] = list
        self.answers: list[bytes] = []

    def find_many_lasting(self, algorithm: str, values: Sequence[bytes], until: datetime) -> None:
        ask, self.meanwhile = self.meanwhile, list
        self.answers += ask()
