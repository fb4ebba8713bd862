"""The contract of `Index`: many digests at once, leases, and uploads that came again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.manifest import ManifestEntry, read_manifest
from httpbucket.domain.upload import Record
from httpbucket.storage.base import Index, Manifest
from tests.examples import NOW, descriptor, record_of, tree_of, upload_id

ONE, OTHER = descriptor(b"one"), descriptor(b"other")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MD5_OF_BOTH = "0123456789abcdef0123456789abcdef"


def raw(*blobs: Descriptor) -> list[bytes]:
    return [blob.sha256.value for blob in blobs]


def lease(index: Index, *blobs: Descriptor, now: datetime = NOW) -> bool:
    return index.lease(raw(*blobs), at_least=now + DAY, until=now + DAY + HOUR)


def leased(index: Index, *, now: datetime) -> set[Digest]:
    return set(index.leased([ONE.sha256, OTHER.sha256], now=now))


def expiring(blob: Descriptor, expires: datetime | None, *, number: int = 0) -> Record:
    return replace(record_of(blob, number=number), expires=expires)


def add(index: Index, records: Iterable[Record]) -> None:
    for record in records:
        index.add(record, None)


def add_tree(index: Index, *members: Descriptor, number: int, expires: datetime | None) -> None:
    entries = [ManifestEntry(f"{place}.txt", blob) for place, blob in enumerate(members)]
    tree, text = tree_of(b"archive", entries)
    record = replace(expiring(descriptor(b"archive"), expires, number=number), tree=tree)
    index.add(record, Manifest(*read_manifest(text.splitlines())))


class TestFindMany:
    @pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
    def test_those_that_are_known_are_found_under_any_algorithm(
        self, index: Index, algorithm: str
    ) -> None:
        blobs = [descriptor(b"%d" % number) for number in range(40)]
        add(index, (record_of(blob, number=number) for number, blob in enumerate(blobs[:30])))
        asked = [bytes.fromhex(blob.digests[algorithm]) for blob in blobs]
        known = [(value, *raw(blob)) for value, blob in zip(asked, blobs[:30], strict=False)]
        assert sorted(index.find_many(algorithm, asked)) == sorted(known)

    def test_one_digest_may_name_several_contents(self, index: Index) -> None:
        both = [
            Descriptor({"md5": MD5_OF_BOTH, "sha256": letter * 64}, 5, 7, "text/plain")
            for letter in "ab"
        ]
        add(index, (record_of(blob, number=number) for number, blob in enumerate(both)))
        value = bytes.fromhex(MD5_OF_BOTH)
        assert sorted(index.find_many("md5", [value])) == [(value, one) for one in raw(*both)]

    def test_a_digest_of_another_algorithm_is_another(self, index: Index) -> None:
        add(index, [record_of(ONE)])
        assert list(index.find_many("sha3_256", raw(ONE))) == []

    @pytest.mark.parametrize("count", [0, 1, 3, 16_384, 16_385])
    def test_any_number_may_be_asked_for(self, index: Index, count: int) -> None:
        add(index, [record_of(ONE)])
        asked = [*(number.to_bytes(32, "big") for number in range(count)), *raw(ONE, ONE)]
        assert set(index.find_many("sha256", asked)) == {(*raw(ONE), *raw(ONE))}
        assert list(index.find_many("sha256", asked[:count])) == []


class TestLeases:
    @pytest.fixture(autouse=True, params=["complete", "being rebuilt"])
    def state(self, request: pytest.FixtureRequest, index: Index) -> None:
        if request.param == "complete":
            index.mark_complete(agreed_day="")

    @pytest.mark.parametrize("expires", [None, NOW + DAY, NOW + 2 * DAY])
    def test_what_stays_so_long_needs_none(self, index: Index, expires: datetime | None) -> None:
        add(index, [expiring(ONE, expires), expiring(ONE, NOW + HOUR, number=1)])
        assert lease(index, ONE) is False
        assert leased(index, now=NOW) == set()

    def test_what_would_go_earlier_gets_one_that_ends(self, index: Index) -> None:
        add(index, [expiring(ONE, NOW + HOUR), expiring(OTHER, None, number=1)])
        assert lease(index, ONE, OTHER) is True
        assert leased(index, now=NOW + DAY + HOUR) == {ONE.sha256}
        assert leased(index, now=NOW + DAY + HOUR + HOUR) == set()

    def test_one_is_not_written_again_before_it_falls_short(self, index: Index) -> None:
        add(index, [expiring(ONE, NOW + HOUR)])
        asked = [lease(index, ONE, now=NOW + part * HOUR / 2) for part in range(4)]
        assert asked == [True, False, False, True]
        assert leased(index, now=NOW + 1.5 * HOUR + DAY + HOUR) == {ONE.sha256}

    def test_a_later_one_never_makes_an_earlier_shorter(self, index: Index) -> None:
        add(index, [expiring(ONE, NOW + HOUR)])
        index.lease(raw(ONE), at_least=NOW + 2 * DAY, until=NOW + 3 * DAY)
        lease(index, ONE)
        assert leased(index, now=NOW + 3 * DAY) == {ONE.sha256}

    def test_the_members_of_a_tree_stay_as_long_as_any_tree_with_them(self, index: Index) -> None:
        add_tree(index, ONE, OTHER, number=1, expires=NOW + HOUR)
        add_tree(index, OTHER, number=2, expires=None)
        assert lease(index, ONE, OTHER) is True
        assert leased(index, now=NOW) == {ONE.sha256}

    def test_very_many_get_theirs_together(self, index: Index) -> None:
        add(index, [expiring(ONE, NOW + HOUR), expiring(OTHER, NOW + HOUR, number=1)])
        assert index.lease([*raw(ONE, OTHER), *raw(ONE)], at_least=NOW + DAY, until=NOW + DAY)
        assert leased(index, now=NOW + DAY) == {ONE.sha256, OTHER.sha256}

    def test_an_upload_has_those_of_what_it_names(self, index: Index) -> None:
        add_tree(index, ONE, number=1, expires=NOW + HOUR)
        add(index, [expiring(OTHER, NOW + HOUR, number=2)])
        lease(index, ONE)
        assert index.has_lease(upload_id(1), now=NOW + DAY) is True
        assert index.has_lease(upload_id(1), now=NOW + 2 * DAY) is False
        assert index.has_lease(upload_id(2), now=NOW) is False
        lease(index, OTHER)
        assert index.has_lease(upload_id(2), now=NOW) is True
        assert index.has_lease(upload_id(3), now=NOW) is False

    def test_they_can_be_ended(self, index: Index) -> None:
        add(index, [expiring(ONE, NOW + HOUR), expiring(OTHER, NOW + HOUR, number=1)])
        lease(index, ONE, OTHER)
        index.end_leases([ONE.sha256, descriptor(b"unknown").sha256])
        assert leased(index, now=NOW) == {OTHER.sha256}

    def test_those_that_ended_are_forgotten_on_demand(self, index: Index) -> None:
        add(index, [expiring(ONE, NOW + HOUR), expiring(OTHER, NOW + HOUR, number=1)])
        lease(index, ONE)
        lease(index, OTHER, now=NOW + DAY)
        assert index.forget_leases(before=NOW + DAY + 2 * HOUR) == 1
        assert leased(index, now=NOW) == {OTHER.sha256}

    def test_an_upload_that_is_taken_in_again_expires_when_it_says_now(self, index: Index) -> None:
        add(index, [expiring(ONE, None), expiring(ONE, NOW + HOUR)])
        assert lease(index, ONE) is True

    def test_it_is_known_since_when_none_was_lost(self, index: Index) -> None:
        assert index.leases_since(NOW) == NOW
        assert index.leases_since(NOW + DAY) == NOW
        index.mark_incomplete()
        index.mark_complete(agreed_day="2026/11/19")
        assert index.leases_since(NOW + DAY) == NOW

    def test_a_content_that_no_upload_names_gets_one(self, index: Index) -> None:
        add(index, [expiring(ONE, None)])
        assert lease(index, ONE, OTHER) is True
        assert leased(index, now=NOW) == {OTHER.sha256}
        assert lease(index, OTHER) is False

    def test_where_uploads_may_go_at_any_time_they_count_for_nothing(self, index: Index) -> None:
        add(index, [expiring(ONE, None)])

        def lease_despite_uploads(now: datetime) -> bool:
            until = now + DAY + HOUR
            return index.lease(raw(ONE), at_least=now + DAY, until=until, despite_uploads=True)

        moments = (NOW, NOW + HOUR, NOW + 2 * HOUR)
        assert [lease_despite_uploads(now) for now in moments] == [True, False, True]
        assert leased(index, now=NOW + DAY + 3 * HOUR) == {ONE.sha256}


class TestFindRetried:
    def keyed(self, number: int, key: str | None, *, days: int = 0) -> Record:
        return replace(record_of(ONE, number=number, days=days), idempotency_key=key)

    def test_uploads_with_the_key_are_found_the_oldest_first(self, index: Index) -> None:
        keyed = [(3, "a"), (1, "a"), (2, "b"), (4, None)]
        add(index, [self.keyed(number, key) for number, key in keyed])
        assert index.find_retried("a", since=NOW - DAY) == (upload_id(1), upload_id(3))
        assert index.find_retried("b", since=NOW - DAY) == (upload_id(2),)
        assert index.find_retried("A", since=NOW - DAY) == ()
        assert index.find_retried("", since=NOW - DAY) == ()

    def test_uploads_before_then_are_not_meant(self, index: Index) -> None:
        add(index, [self.keyed(1, "a"), self.keyed(2, "a", days=1)])
        assert index.find_retried("a", since=NOW + HOUR) == (upload_id(2, days=1),)
        assert index.find_retried("a", since=datetime(1, 1, 2, tzinfo=UTC)) == (
            upload_id(1),
            upload_id(2, days=1),
        )

    def test_taking_in_again_finds_it_once(self, index: Index) -> None:
        add(index, 2 * [self.keyed(1, "clé")])
        assert index.find_retried("clé", since=NOW - DAY) == (upload_id(1),)
