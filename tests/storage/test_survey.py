"""The contracts of `Survey` and `Notes`, and what is asked of the index by operators."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.storage.base import Index, Standing
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.examples import NOW, descriptor, identity, keep_staged, keep_upload, record_of, stage

ONE = descriptor(b"one")


class TestSurvey:
    def test_a_blob_is_one_file_without_further_names(self, stores: Stores) -> None:
        assert stores.survey.standing(identity(b"one")) is None
        keep_staged(stores, b"one")
        assert stores.survey.standing(identity(b"one")) == Standing(3, 1, 0, 0)

    def test_nothing_strange_lies_among_kept_blobs(self, stores: Stores) -> None:
        keep_upload(stores, b"one")
        assert list(stores.survey.strangers()) == []


class TestLocalSurvey:
    @pytest.fixture
    def stores(self, layout: Layout) -> Stores:
        return local_backend(layout.root).stores

    def test_names_are_counted_over_all_files(self, stores: Stores, layout: Layout) -> None:
        keep_upload(stores, b"one")
        path = layout.blob(identity(b"one"))
        path.with_name(f"{path.name}~1").write_bytes(b"one")
        os.link(path, layout.root / "by an operator")
        assert stores.survey.standing(identity(b"one")) == Standing(3, 2, 2, 0)
        assert list(stores.survey.strangers()) == []

    def test_an_upload_on_its_way_holds_it(self, stores: Stores) -> None:
        staged = stage(stores.staging, b"one")
        stores.blobs.keep(staged, identity(b"one"))
        assert stores.survey.standing(identity(b"one")) == Standing(3, 1, 0, 1)
        staged.discard()

    def test_whatever_has_no_name_of_a_blob_is_strange(
        self, stores: Stores, layout: Layout
    ) -> None:
        right = layout.blob(identity(b"one"))
        right.parent.mkdir(parents=True, exist_ok=True)
        strange = ("blob/a.txt", f"blob/00/00/{right.name}", f"blob/{right.name[:2]}/{right.name}")
        for path in strange:
            (layout.root / path).parent.mkdir(parents=True, exist_ok=True)
            (layout.root / path).write_bytes(b"x")
        assert sorted(stores.survey.strangers()) == sorted(strange)


class TestNotes:
    def test_the_last_text_of_a_name_is_read(self, stores: Stores) -> None:
        assert stores.notes.read("scrub") == ""
        for text in ("first", "zweite ½"):
            stores.notes.write("scrub", text)
        stores.notes.write("expire", "other")
        assert stores.notes.read("scrub") == "zweite ½"


class TestIndexForOperators:
    def test_further_digests_of_a_known_blob_find_it(self, index: Index) -> None:
        index.add(record_of(ONE), None)
        sha1 = "fe05bcdcdc4928012781a5f1a2a77cbb5398e106"
        more = Descriptor({**ONE.digests, "sha1": sha1}, ONE.size, ONE.crc32, ONE.media_type)
        index.add_digests(more)
        assert index.find(Digest("sha1", sha1)) == (ONE.sha256,)
        known = index.describe(ONE.sha256)
        assert known and known.blob == more
        assert known.filename == "results.xml"

    def test_they_stay_when_the_content_comes_again(self, index: Index) -> None:
        index.add(record_of(ONE), None)
        few = Descriptor({"sha256": ONE.sha256.hex}, ONE.size, ONE.crc32, ONE.media_type)
        index.add(record_of(few, number=1), None)
        known = index.describe(ONE.sha256)
        assert known and known.blob == ONE

    def test_no_digest_outlives_its_blob(self, index: Index) -> None:
        few = Descriptor({"sha256": ONE.sha256.hex}, ONE.size, ONE.crc32, ONE.media_type)
        records = record_of(ONE), record_of(few, number=1)
        for record in records:
            index.add(record, None)
        for record in records:
            index.remove(record, None)
        assert [index.find(digest) for digest in ONE.all_digests()] == [(), (), ()]

    def test_digests_of_an_unknown_blob_are_not_taken_in(self, index: Index) -> None:
        index.add_digests(ONE)
        assert index.find(ONE.sha256) == ()
        assert index.find(Digest("md5", ONE.digests["md5"])) == ()

    def test_everything_is_forgotten_but_leases(self, index: Index) -> None:
        record = record_of(ONE)
        index.add(record, None)
        since = index.leases_since(NOW)
        until = datetime(2100, 1, 1, tzinfo=UTC)
        index.lease([b"\1" * 32], at_least=until, until=until)
        index.mark_complete(agreed_day="2026/11/21")
        index.forget_all()
        assert (index.is_complete(), index.agreed_day()) == (False, "")
        assert index.has_upload(record.id) is False
        assert index.find(ONE.sha256) == ()
        assert index.totals().uploads == 0
        assert index.lease_until(Digest.of("sha256", b"\1" * 32)) == until
        assert index.leases_since(NOW + timedelta(days=1)) == since
        index.add(record, None)
        assert (index.totals().uploads, index.totals().blobs) == (1, 1)

    def test_there_is_no_end_of_a_lease_that_was_not_given(self, index: Index) -> None:
        assert index.lease_until(ONE.sha256) is None
