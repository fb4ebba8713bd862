"""Removing and amending uploads and replicas: the contract, on every backend."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from httpbucket.domain.errors import BucketError, UploadNotFound
from httpbucket.domain.public_path import PublicPath
from httpbucket.domain.upload import Record, Replica
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.examples import identity, keep_upload
from tests.faults import FaultyDisk
from tests.storage.replica_uploads import BOB, file_upload, held, name_of, tree_upload

CONTENT = b"some content"
LATEST = f"{BOB}/results.latest.xml"


class TestRemovingUploads:
    def test_a_removed_upload_is_gone(self, stores: Stores) -> None:
        record = keep_upload(stores, CONTENT)
        assert stores.records.has(record.id) is True
        assert stores.records.remove(record.id) == record
        assert stores.records.has(record.id) is False
        assert list(stores.records.ids()) == []
        with pytest.raises(UploadNotFound):
            stores.records.load(record.id)

    def test_removing_it_again_is_refused(self, stores: Stores) -> None:
        record = keep_upload(stores, CONTENT)
        stores.records.remove(record.id)
        with pytest.raises(UploadNotFound):
            stores.records.remove(record.id)

    def test_it_is_told_as_removed_until_it_is_forgotten(self, stores: Stores) -> None:
        record = keep_upload(stores, CONTENT)
        assert list(stores.records.removed()) == []
        stores.records.remove(record.id)
        assert list(stores.records.removed()) == [record]
        for _ in range(2):
            stores.records.forget(record.id)
        assert list(stores.records.removed()) == []

    def test_an_upload_stays_when_its_record_is_not_as_expected(self, stores: Stores) -> None:
        record = keep_upload(stores, CONTENT)
        assert stores.records.remove(record.id, only_if=lambda found: found != record) is None
        assert stores.records.load(record.id) == record

    def test_other_uploads_stay(self, stores: Stores) -> None:
        first, second = (keep_upload(stores, CONTENT, number=number) for number in range(2))
        stores.records.remove(first.id)
        stores.records.forget(first.id)
        assert list(stores.records.ids()) == [second.id]
        path = PublicPath.parse(f"{second.id.directory}/results.xml")
        with stores.shelves.open(path) as reader:
            assert reader.read() == CONTENT


class TestAmending:
    def test_a_record_is_replaced(self, stores: Stores) -> None:
        record = keep_upload(stores, CONTENT)
        amended = stores.records.amend(record.id, with_header)
        assert amended == with_header(record)
        assert stores.records.load(record.id) == amended

    def test_the_upload_s_names_stay(self, stores: Stores) -> None:
        record = keep_upload(stores, CONTENT)
        stores.records.amend(record.id, with_header)
        path = PublicPath.parse(f"{record.id.directory}/results.xml")
        with stores.shelves.open(path) as reader:
            assert reader.read() == CONTENT

    def test_what_is_not_there_cannot_be_amended(self, stores: Stores) -> None:
        record = keep_upload(stores, CONTENT)
        stores.records.remove(record.id)
        with pytest.raises(UploadNotFound):
            stores.records.amend(record.id, with_header)


def with_header(record: Record) -> Record:
    return replace(record, headers={"meta-note": "amended"})


def publish(stores: Stores, *uploads: Record) -> None:
    for record in uploads:
        with held(stores, record) as directories:
            directories.announce(record)
            stores.records.publish(record)
            directories.make(record)


def remove(
    stores: Stores,
    record: Record,
    latest: dict[str, str | None],
    replicas: tuple[Replica, ...] | None = None,
) -> None:
    with (
        held(stores, record) as directories,
        directories.removing(record.id, record.replicas if replicas is None else replicas, latest),
    ):
        stores.records.remove(record.id)


class TestRemovingReplicas:
    def test_replicas_go_and_latest_shows_another(self, stores: Stores) -> None:
        first, second = (file_upload(stores, number) for number in range(2))
        publish(stores, first, second)
        with held(stores, second) as directories:
            assert directories.shown(LATEST) == name_of(1)
        remove(stores, second, {LATEST: name_of(0)})
        with held(stores, first) as directories:
            assert directories.shown(LATEST) == name_of(0)
            assert sorted(directories.entries(BOB)) == [name_of(0), "results.latest.xml"]

    def test_the_last_one_takes_latest_with_it(self, stores: Stores) -> None:
        record = file_upload(stores)
        publish(stores, record)
        remove(stores, record, {LATEST: None})
        with held(stores, record) as directories:
            assert directories.shown(LATEST) is None
            assert list(directories.entries(BOB)) == []

    def test_a_tree_goes_whole(self, stores: Stores) -> None:
        record = tree_upload(stores)
        publish(stores, record)
        remove(stores, record, {f"{BOB}/results.latest": None})
        with held(stores, record) as directories:
            assert list(directories.entries(BOB)) == []

    def test_nothing_goes_when_the_record_stays(self, stores: Stores) -> None:
        record = file_upload(stores)
        publish(stores, record)
        with pytest.raises(RuntimeError), held(stores, record) as directories:  # noqa: SIM117
            with directories.removing(record.id, record.replicas, {LATEST: None}):
                raise RuntimeError
        with held(stores, record) as directories:
            assert directories.shown(LATEST) == name_of(0)
            assert sorted(directories.entries(BOB)) == [name_of(0), "results.latest.xml"]


def test_whatever_call_fails_a_removed_upload_and_its_replicas_are_whole_or_gone(
    tmp_path: Path,
) -> None:
    def work(stores: Stores, record: Record) -> None:
        remove(stores, record, {LATEST: name_of(0)})

    assert walk_faults(tmp_path, work) > 8


def walk_faults(tmp_path: Path, work: Callable[[Stores, Record], None]) -> int:
    """Fail one call after the other of ``work`` on the second of two uploads, and look."""
    for failing in count():
        layout, disk = Layout(tmp_path / str(failing)), FaultyDisk()
        stores = local_backend(layout.root, disk=disk).stores
        first, second = (file_upload(stores, number) for number in range(2))
        publish(stores, first, second)
        disk.arm(failing, errno.EIO)
        try:
            work(stores, second)
        except (BucketError, OSError):
            assert disk.has_failed
        has_failed = disk.has_failed
        disk.disarm()
        # As the next start does.
        stores.staging.sweep()
        stores.replicas.finish()
        for record in stores.records.removed():
            stores.records.forget(record.id)
        is_there = stores.records.has(second.id)
        with held(stores, second) as directories:
            there = [name_of(0), name_of(1)] if is_there else [name_of(0)]
            assert sorted(directories.entries(BOB)) == [*there, "results.latest.xml"], disk.calls
            assert directories.shown(LATEST) == there[-1]
        assert list(layout.redo.iterdir()) == []
        assert list(layout.trash.iterdir()) == []
        path = layout.blob(identity(b"content 1"))
        assert path.stat().st_nlink == (3 if is_there else 1)
        stores.index.close()
        if not has_failed:
            assert is_there is False
            return failing
    raise AssertionError("some call is the last")


def test_repairing_makes_no_name_of_what_was_removed_meanwhile(
    local: Stores, layout: Layout
) -> None:
    first, second = (file_upload(local, number) for number in range(2))
    publish(local, first, second)
    remove(local, first, {})
    local.records.amend(second.id, lambda record: replace(record, replicas=()))
    replica = layout.root / second.replicas[0].path
    replica.unlink()
    for record in (first, second):
        assert local.repair.relink(record).lost == ()
    assert not layout.upload(first.id).exists()
    assert not replica.exists()
