"""Ask: what is there need not be sent, and stays for a while."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from httpbucket.domain.checksum_runs import ChecksumRun, read_runs
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound, IndexNotReady
from httpbucket.services.ask import Ask
from httpbucket.services.leases import Leases
from httpbucket.services.lookup import Lookup
from httpbucket.storage.base import Index
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.examples import NOW, identity, keep, keep_upload, record_of
from tests.services.fakes import Journal, RecordingIndex

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
THERE, EXPIRING, GONE = b"there", b"expiring", b"gone"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


@pytest.fixture
def stores(layout: Layout) -> Stores:
    return local_backend(layout.root).stores


def ask_of(stores: Stores, index: Index | None = None) -> Ask:
    index = index or stores.index
    return Ask(
        lookup=Lookup(blobs=stores.blobs, index=index),
        blobs=stores.blobs,
        index=index,
        leases=Leases(index=index, seconds=86_400, now=lambda: NOW),
    )


def lines(*contents: bytes, algorithm: str = "sha256", preferred: str = "md5") -> list[ChecksumRun]:
    sums = [hashlib.new(algorithm, content).hexdigest().encode() for content in contents]
    text = b"".join(b"%s  %s.xml\n" % pair for pair in zip(sums, contents, strict=True))
    return list(read_runs([text], preferred=preferred))


def names(raws: list[bytes]) -> list[str]:
    return [raw.decode().split()[1] for raw in raws]


def add(
    stores: Stores, content: bytes, *, number: int = 0, expires: datetime | None = None
) -> None:
    record = replace(record_of(keep(stores, content), number=number), expires=expires)
    stores.records.publish(record)
    stores.index.add(record, None)
    stores.index.mark_complete(agreed_day="")


def leased(stores: Stores, content: bytes, *, now: datetime = NOW) -> bool:
    return bool(stores.index.leased([identity(content)], now=now))


class TestMissing:
    @pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
    def test_those_that_are_not_there_are_told_in_their_order(
        self, stores: Stores, algorithm: str
    ) -> None:
        add(stores, THERE)
        asked = lines(b"b", THERE, b"a", THERE, b"b", algorithm=algorithm)
        assert names(ask_of(stores).missing(asked)) == ["b.xml", "a.xml", "b.xml"]

    def test_nothing_asked_is_nothing_missing(self, stores: Stores) -> None:
        assert ask_of(stores).missing([]) == []

    def test_algorithms_may_be_mixed_and_bare_hex_may_mean_several(self, stores: Stores) -> None:
        add(stores, THERE)
        asked = lines(THERE, b"x") + lines(THERE, b"y", algorithm="md5")
        asked += lines(THERE, b"z", preferred="sha3_256")
        assert names(ask_of(stores).missing(asked)) == ["x.xml", "y.xml", "z.xml"]

    def test_a_digest_of_one_algorithm_is_not_taken_for_another(self, stores: Stores) -> None:
        add(stores, THERE)
        [run] = lines(THERE)
        other = run._replace(algorithms=("sha3_256",), raws=[b"other"])
        assert ask_of(stores).missing([other, run]) == [b"other"]

    def test_a_blob_that_was_removed_by_hand_is_missing(
        self, stores: Stores, layout: Layout
    ) -> None:
        add(stores, THERE)
        layout.blob(identity(THERE)).unlink()
        for algorithm in ("sha256", "md5"):
            assert names(ask_of(stores).missing(lines(THERE, algorithm=algorithm))) == ["there.xml"]

    def test_content_that_nothing_names_is_missing(self, stores: Stores) -> None:
        keep(stores, THERE)
        stores.index.mark_complete(agreed_day="")
        assert names(ask_of(stores).missing(lines(THERE))) == ["there.xml"]


class TestWhileTheIndexIsRebuilt:
    def test_sha256_is_answered_from_the_disk(self, stores: Stores) -> None:
        keep_upload(stores, THERE)
        assert names(ask_of(stores).missing(lines(b"x", THERE))) == ["x.xml"]
        assert leased(stores, THERE)

    def test_the_same_hex_under_two_algorithms_is_two_questions(self, stores: Stores) -> None:
        stores.index.add(keep_upload(stores, THERE), None)
        [run] = lines(THERE)
        with pytest.raises(IndexNotReady):
            ask_of(stores).missing([run._replace(algorithms=("sha3_256",)), run])

    def test_another_digest_is_never_called_missing(self, stores: Stores) -> None:
        keep_upload(stores, THERE)
        with pytest.raises(IndexNotReady):
            ask_of(stores).missing(lines(THERE, algorithm="md5"))

    def test_another_digest_that_is_known_already_is_answered(self, stores: Stores) -> None:
        stores.index.add(keep_upload(stores, THERE), None)
        assert ask_of(stores).missing(lines(THERE, algorithm="md5")) == []

    def test_without_any_index_it_is_the_same(self, stores: Stores) -> None:
        keep_upload(stores, THERE)
        index = RecordingIndex(Journal())
        index.refusal = IndexNotReady("not now")
        ask = ask_of(stores, index)
        assert names(ask.missing(lines(b"x", THERE))) == ["x.xml"]
        assert ask.find([identity(THERE)]) == (identity(THERE),)
        with pytest.raises(IndexNotReady):
            ask.missing(lines(THERE, algorithm="md5"))


WAYS: dict[str, Callable[[Ask, Digest], object]] = {
    "find": lambda ask, digest: ask.find([digest]),
    "resolve": lambda ask, digest: ask.resolve([digest]),
    "missing": lambda ask, digest: ask.missing(lines(EXPIRING)),
}


@pytest.mark.parametrize("way", WAYS)
class TestLeases:
    def test_what_expires_too_early_stays(self, stores: Stores, way: str) -> None:
        add(stores, EXPIRING, expires=NOW + HOUR)
        WAYS[way](ask_of(stores), identity(EXPIRING))
        assert leased(stores, EXPIRING, now=NOW + DAY)
        assert not leased(stores, EXPIRING, now=NOW + 2 * DAY)

    def test_what_stays_anyway_takes_no_lease(self, stores: Stores, way: str) -> None:
        add(stores, EXPIRING, expires=NOW + HOUR)
        add(stores, EXPIRING, number=1, expires=NOW + 2 * DAY)
        WAYS[way](ask_of(stores), identity(EXPIRING))
        assert not leased(stores, EXPIRING)

    def test_what_cannot_be_leased_is_not_promised(self, stores: Stores, way: str) -> None:
        index = RecordingIndex(Journal())
        index.lease_refusal = IndexNotReady("The disk is full.")
        index.mark_complete(agreed_day="")
        index.add(keep_upload(stores, EXPIRING), None)
        with pytest.raises(IndexNotReady):
            WAYS[way](ask_of(stores, index), identity(EXPIRING))

    def test_what_went_before_its_lease_came_is_not_there(self, stores: Stores, way: str) -> None:
        index = ForgettingIndex(Journal())
        index.mark_complete(agreed_day="")
        index.add(keep_upload(stores, EXPIRING), None)
        try:
            answer = WAYS[way](ask_of(stores, index), identity(EXPIRING))
        except BlobNotFound:
            answer = lines(EXPIRING)[0].raws
        assert answer == lines(EXPIRING)[0].raws


class ForgettingIndex(RecordingIndex):
    """Everything expires just before it is leased."""

    def lease(
        self,
        blobs: object,
        *,
        at_least: datetime,
        until: datetime,
        despite_uploads: bool = False,
    ) -> bool:
        self._aliases.clear()
        return True
