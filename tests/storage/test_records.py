"""The contract of `Records`, on every backend."""

from dataclasses import replace

import pytest

from httpbucket.domain.errors import UploadNotFound
from httpbucket.domain.upload import Finding, NamedBlob
from httpbucket.wiring import Stores
from tests.examples import keep, keep_upload, kept_blobs, record_of, upload_id


class TestRecords:
    def test_a_published_record_is_loaded_as_it_was(self, stores: Stores) -> None:
        record = replace(
            record_of(keep(stores, b"content"), name="日本語.xml"),
            findings=(Finding("left-out", "A device was left out."),),
            headers={"Topic": "demo"},
        )
        stores.records.publish(record)
        assert stores.records.load(record.id) == record

    def test_an_upload_with_a_decompressed_form_is_published(self, stores: Stores) -> None:
        inside = NamedBlob("results", keep(stores, b"inside"))
        record = replace(record_of(keep(stores, b"packed")), decompressed=inside)
        stores.records.publish(record)
        assert stores.records.load(record.id) == record

    def test_an_upload_of_the_empty_file_is_published(self, stores: Stores) -> None:
        record = keep_upload(stores, b"")
        assert stores.records.load(record.id) == record

    def test_an_unknown_upload_is_told_as_such(self, stores: Stores) -> None:
        with pytest.raises(UploadNotFound):
            stores.records.load(upload_id())

    def test_uploads_come_in_order_of_time(self, stores: Stores) -> None:
        published = [
            keep_upload(stores, b"%d" % days, number=number, days=days).id
            for number, days in [(3, 40), (1, 0), (2, 0), (4, 400)]
        ]
        assert list(stores.records.ids()) == sorted(published)

    def test_uploads_can_be_asked_for_from_a_day_on(self, stores: Stores) -> None:
        days = {days: keep_upload(stores, b"x", days=days).id for days in (-30, 0, 1, 30)}
        assert list(stores.records.ids(since_day=days[0].day)) == [days[0], days[1], days[30]]
        assert list(stores.records.ids(since_day="2027/01/01")) == []

    def test_an_empty_store_has_no_uploads(self, stores: Stores) -> None:
        assert list(stores.records.ids()) == []
        assert list(stores.records.ids(since_day="2026/11/21")) == []

    def test_many_uploads_share_one_content(self, stores: Stores) -> None:
        for number in range(5):
            keep_upload(stores, b"the same", number=number)
        assert len(list(stores.records.ids())) == 5
        assert len(kept_blobs(stores.blobs)) == 1
