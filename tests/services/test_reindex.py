"""Reindex takes in what the index lacks, and says complete only when it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat
from pathlib import Path

import pytest

from httpbucket.domain.manifest import ManifestEntry
from httpbucket.domain.upload import Record, UploadId
from httpbucket.services import reindex as reindex_module
from httpbucket.services.reindex import Reindex
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.memory import MemoryRecords
from httpbucket.wiring import Stores
from tests.backends import local_backend, memory_backend
from tests.examples import (
    NOW,
    descriptor,
    identity,
    keep,
    keep_manifest,
    keep_upload,
    record_of,
    tree_of,
)


def reindex_of(stores: Stores) -> Reindex:
    return Reindex(records=stores.records, trees=stores.trees, index=stores.index, now=lambda: NOW)


def for_records(count: int) -> Callable[[], bool]:
    answers = chain(repeat(True, count), repeat(False))
    return lambda: next(answers)


def keep_tree(stores: Stores, *, with_manifest: bool = True) -> Record:
    """An upload that was unpacked to one member."""
    keep(stores, b"member")
    members = [ManifestEntry("a.txt", descriptor(b"member"))]
    tree, manifest = tree_of(b"archive", members)
    if with_manifest:
        keep_manifest(stores, tree, manifest)
    record = replace(record_of(keep(stores, b"archive")), tree=tree)
    return record


def test_keys_of_retries_and_times_of_expiry_are_known_again(stores: Stores) -> None:
    expires = NOW + timedelta(hours=1)
    record = replace(record_of(keep(stores, b"a")), idempotency_key="job 7", expires=expires)
    stores.records.publish(record)
    assert reindex_of(stores).catch_up()
    assert stores.index.find_retried("job 7", since=NOW) == (record.id,)
    blob = identity(b"a").value
    assert stores.index.lease([blob], at_least=expires, until=expires) is False
    later = expires + timedelta(seconds=1)
    assert stores.index.lease([blob], at_least=later, until=later) is True


class TestCatchingUp:
    def test_every_record_is_taken_in(self, stores: Stores) -> None:
        records = [keep_upload(stores, b"%d" % n, number=n, days=-n) for n in range(5)]
        assert reindex_of(stores).catch_up() is True
        for number, record in enumerate(records):
            assert stores.index.has_upload(record.id)
            for digest in descriptor(b"%d" % number).all_digests():
                assert stores.index.find(digest) == (identity(b"%d" % number),)
        assert stores.index.is_complete() is True

    def test_an_empty_store_is_complete_at_once(self, stores: Stores) -> None:
        assert reindex_of(stores).catch_up() is True
        assert stores.index.is_complete() is True

    def test_it_agrees_up_to_two_days_ago(self, stores: Stores) -> None:
        reindex_of(stores).catch_up()
        assert stores.index.agreed_day() == f"{NOW - timedelta(days=2):%Y/%m/%d}"

    def test_it_stops_when_told_and_goes_on_where_it_was(self, stores: Stores) -> None:
        records = [keep_upload(stores, b"%d" % n, number=n) for n in range(5)]
        reindex = reindex_of(stores)
        assert reindex.catch_up(may_go_on=for_records(2)) is False
        assert stores.index.is_complete() is False
        assert [stores.index.has_upload(one.id) for one in records] == [True] * 2 + [False] * 3
        assert reindex.catch_up(may_go_on=for_records(3)) is True
        assert all(stores.index.has_upload(one.id) for one in records)

    def test_days_that_are_agreed_on_are_not_read_again(self, stores: Stores) -> None:
        old = keep_upload(stores, b"old", number=1, days=-30)
        new = keep_upload(stores, b"new", number=2)
        stores.index.mark_complete(agreed_day="2026/11/01")
        stores.index.mark_incomplete()
        assert reindex_of(stores).catch_up() is True
        assert (stores.index.has_upload(old.id), stores.index.has_upload(new.id)) == (False, True)

    def test_a_clock_that_was_set_back_hides_no_upload(self, stores: Stores) -> None:
        reindex_of(stores).catch_up()
        late = keep_upload(stores, b"late", days=-1)
        stores.index.mark_incomplete()
        reindex_of(stores).catch_up()
        assert stores.index.has_upload(late.id)

    def test_it_may_be_repeated(self, stores: Stores) -> None:
        keep_upload(stores, b"content")
        assert [reindex_of(stores).catch_up() for _ in range(3)] == [True] * 3
        assert stores.index.find(identity(b"content")) == (identity(b"content"),)

    def test_it_never_reads_the_bytes_of_a_blob(self, tmp_path: Path) -> None:
        layout = Layout(tmp_path / "store")
        stores = local_backend(layout.root).stores
        keep_upload(stores, b"content")
        layout.blob(identity(b"content")).unlink()
        reindex_of(stores).catch_up()
        assert stores.index.find(identity(b"content")) == (identity(b"content"),)
        stores.index.close()


class TestWhatIsGone:
    def test_uploads_that_somebody_removed_by_hand_are_forgotten(self, tmp_path: Path) -> None:
        layout = Layout(tmp_path / "store")
        stores = local_backend(layout.root).stores
        records = [keep_upload(stores, b"%d" % n, number=n) for n in range(5)]
        reindex = reindex_of(stores)
        reindex.catch_up()
        for number in (0, 2, 4):
            shutil.rmtree(layout.upload(records[number].id))
        stores.index.mark_incomplete()
        assert reindex.catch_up() is True
        assert stores.index.uploads(limit=9) == [records[1].id, records[3].id]
        known = [bool(stores.index.find(identity(b"%d" % n))) for n in range(5)]
        assert known == [False, True, False, True, False]
        assert stores.index.totals().uploads == 2
        stores.index.close()

    def test_many_are_forgotten_in_portions(
        self, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reindex_module, "UPLOADS_AT_ONCE", 2)
        for number in range(7):
            stores.index.add(record_of(descriptor(b"%d" % number), number=number), None)
        kept = keep_upload(stores, b"kept", number=8)
        assert reindex_of(stores).catch_up() is True
        assert list(stores.index.uploads(limit=9)) == [kept.id]

    def test_days_that_are_agreed_on_are_left_alone(self, stores: Stores) -> None:
        old = record_of(descriptor(b"old"), days=-30)
        stores.index.add(old, None)
        stores.index.mark_complete(agreed_day="2026/11/01")
        assert reindex_of(stores).catch_up() is True
        assert stores.index.has_upload(old.id) is True

    def test_one_that_is_published_meanwhile_stays(self, stores: Stores) -> None:
        keep_upload(stores, b"first", number=1)
        published: list[Record] = []

        def publish() -> bool:
            record = keep_upload(stores, b"second", number=2)
            stores.index.add(record, None)
            published.append(record)
            return True

        assert reindex_of(stores).catch_up(may_go_on=publish) is True
        assert stores.index.has_upload(published[0].id) is True

    def test_one_whose_delete_failed_meanwhile_is_taken_in_again(
        self, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record = record_of(keep(stores, b"content"))
        stores.index.add(record, None)
        forget = stores.index.forget_uploads

        def put_back_then_forget(uploads: Collection[UploadId]) -> None:
            stores.records.publish(record)
            forget(uploads)

        monkeypatch.setattr(stores.index, "forget_uploads", put_back_then_forget)
        assert reindex_of(stores).catch_up() is True
        assert stores.index.has_upload(record.id) is True


class TestDamage:
    def test_a_damaged_record_is_left_out_and_the_rest_taken_in(self, tmp_path: Path) -> None:
        layout = Layout(tmp_path / "store")
        stores = local_backend(layout.root).stores
        records = [keep_upload(stores, b"%d" % n, number=n) for n in range(3)]
        damaged = layout.upload(records[1].id) / ".upload.json"
        damaged.unlink()
        damaged.write_bytes(b"{half a rec")
        assert reindex_of(stores).catch_up() is True
        known = [stores.index.has_upload(one.id) for one in records]
        assert known == [True, False, True]
        stores.index.close()

    def test_an_upload_that_goes_meanwhile_is_passed_over(self, stores: Stores) -> None:
        kept = keep_upload(stores, b"content")
        gone = record_of(descriptor(b"gone"), number=9).id
        records = Announcing(stores.records.load, [gone, kept.id])
        reindex = Reindex(records=records, trees=stores.trees, index=stores.index, now=lambda: NOW)
        assert reindex.catch_up() is True
        assert stores.index.has_upload(kept.id)

    def test_the_members_of_trees_are_taken_in(self) -> None:
        stores = memory_backend().stores
        stores.records.publish(keep_tree(stores))
        reindex_of(stores).catch_up()
        assert stores.index.find(identity(b"member")) == (identity(b"member"),)

    def test_an_upload_whose_manifest_is_gone_is_known_without_its_tree(self) -> None:
        stores = memory_backend().stores
        record = keep_tree(stores, with_manifest=False)
        stores.records.publish(record)
        assert reindex_of(stores).catch_up() is True
        assert stores.index.find(identity(b"archive")) == (identity(b"archive"),)
        assert stores.index.find(identity(b"member")) == ()

    def test_an_upload_whose_manifest_is_damaged_is_known_without_its_tree(self) -> None:
        stores = memory_backend().stores
        tree, manifest = tree_of(b"archive", [ManifestEntry("a.txt", descriptor(b"member"))])
        keep_manifest(stores, tree, manifest + b"{half an ent")
        stores.records.publish(replace(record_of(keep(stores, b"archive")), tree=tree))
        assert reindex_of(stores).catch_up() is True
        assert stores.index.find(identity(b"archive")) == (identity(b"archive"),)
        assert stores.index.find(identity(b"member")) == ()


class Announcing(MemoryRecords):
    """Lists uploads of which some can no longer be loaded."""

    def __init__(self, load: Callable[[UploadId], Record], ids: list[UploadId]) -> None:
        super().__init__()
        self._load = load
        self._ids = ids

    def load(self, upload: UploadId) -> Record:
        return self._load(upload)

    def has(self, upload: UploadId) -> bool:
        return True

    def ids(self, *, since_day: str = "") -> Iterator[UploadId]:
        return iter(self._ids)
