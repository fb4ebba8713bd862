"""Delete takes uploads and replicas away whole, and frees what nothing else names."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from httpbucket.config import Settings
from httpbucket.domain.errors import (
    BucketError,
    IndexNotReady,
    KeptUpload,
    NameNotFound,
    NotDeletable,
    UploadNotFound,
)
from httpbucket.domain.freed import Freed
from httpbucket.domain.public_path import PublicPath
from httpbucket.domain.upload import Record, UploadId
from httpbucket.server.startup import prepare
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Services, Stores, build
from tests.backends import local_backend, memory_backend
from tests.builders import tar, tar_member
from tests.examples import NOW, identity, kept_blobs
from tests.faults import FaultyDisk
from tests.uploading import upload_file

CONTENT = b"some content"


class Bench:
    """Services on a backend, whose clock stands still."""

    def __init__(self, stores: Stores, **environ: str) -> None:
        self.stores = stores
        settings = Settings.from_environ({"REPLICATE_0": "user/${USERNAME}"} | environ)
        self.services: Services = build(settings, stores, now=lambda: NOW)
        stores.index.prepare()
        self.services.reindex.catch_up()

    def upload(self, content: bytes, filename: str = "results.xml", **headers: str) -> Record:
        return upload_file(self.services.ingest, content, filename, headers=headers).record

    def delete(self, record: Record) -> Freed:
        return self.services.delete.upload(record.id)

    def delete_replica(self, path: str) -> Freed:
        return self.services.delete.replica(PublicPath.parse(path))

    def is_known(self, content: bytes) -> bool:
        return bool(self.stores.index.find(identity(content)))

    def shown(self, link: str) -> str:
        return str(self.stores.shelves.resolve(PublicPath.parse(link)))

    def blobs(self) -> list[str]:
        return [digest.hex for digest in kept_blobs(self.stores.blobs)]


@pytest.fixture
def bench(stores: Stores) -> Bench:
    return Bench(stores)


def tree_of_two(first: bytes, second: bytes) -> bytes:
    return tar(tar_member("a/first", first), tar_member("b/second", second))


class TestUploads:
    def test_a_content_that_only_this_upload_named_is_freed(self, bench: Bench) -> None:
        record = bench.upload(CONTENT)
        assert bench.delete(record) == Freed(len(CONTENT), 0)
        assert bench.blobs() == []
        assert not bench.is_known(CONTENT)
        assert list(bench.stores.records.ids()) == []
        assert list(bench.stores.records.removed()) == []

    def test_a_content_that_another_upload_names_stays(self, bench: Bench) -> None:
        first, second = bench.upload(CONTENT), bench.upload(CONTENT)
        assert bench.delete(first) == Freed(0, len(CONTENT), (second.id,))
        assert bench.is_known(CONTENT)
        assert bench.delete(second) == Freed(len(CONTENT), 0)

    def test_deleting_again_finds_no_upload(self, bench: Bench) -> None:
        record = bench.upload(CONTENT)
        bench.delete(record)
        with pytest.raises(UploadNotFound):
            bench.delete(record)

    def test_what_was_deleted_can_be_uploaded_again(self, bench: Bench) -> None:
        archive = gzip.compress(tree_of_two(b"one", b"two"))
        for _ in range(2):
            record = bench.upload(archive, "results.tgz", username="bob")
            assert bench.is_known(b"one")
            bench.delete(record)
            assert not bench.is_known(b"one")
            assert bench.blobs() == []

    def test_of_a_tree_goes_what_nothing_else_names(self, bench: Bench) -> None:
        other = bench.upload(b"one")
        archive = gzip.compress(tree_of_two(b"one", b"only here"))
        record = bench.upload(archive, "results.tgz")
        assert record.decompressed is not None
        assert record.tree is not None
        freed = bench.delete(record)
        sizes = (record.size, record.decompressed.blob.size, record.tree.manifest.size)
        assert freed == Freed(sum(sizes) + len(b"only here"), len(b"one"), (other.id,))
        assert bench.blobs() == [identity(b"one").hex]

    def test_a_tree_that_two_uploads_share_goes_with_the_second(self, bench: Bench) -> None:
        archive = tree_of_two(b"one", b"two")
        first, second = (bench.upload(archive, f"{name}.tar") for name in "ab")
        assert bench.delete(first).bytes_freed == 0
        assert bench.is_known(b"one")
        bench.delete(second)
        assert bench.blobs() == []

    def test_a_member_that_comes_twice_in_a_tree_counts_once(self, bench: Bench) -> None:
        record = bench.upload(tree_of_two(b"same", b"same"), "a.tar")
        bench.upload(b"same")
        assert bench.delete(record).bytes_shared == len(b"same")

    def test_the_empty_content_counts_for_nothing(self, bench: Bench) -> None:
        assert bench.delete(bench.upload(b"")) == Freed(0, 0)

    def test_what_an_upload_in_flight_holds_stays(self, bench: Bench) -> None:
        record = bench.upload(CONTENT)
        with bench.stores.blobs.hold(identity(CONTENT)):
            assert bench.delete(record) == Freed(0, len(CONTENT))

    def test_an_upload_that_is_marked_stays(self, bench: Bench) -> None:
        record = bench.upload(CONTENT)
        bench.stores.records.amend(record.id, lambda found: replace(found, keep=True))
        with pytest.raises(KeptUpload):
            bench.delete(record)
        assert bench.is_known(CONTENT)

    def test_nothing_is_deleted_while_nobody_knows_what_else_names_it(self, bench: Bench) -> None:
        record = bench.upload(CONTENT)
        bench.stores.index.mark_incomplete()
        with pytest.raises(IndexNotReady):
            bench.delete(record)
        assert bench.stores.records.has(record.id)

    def test_an_upload_that_was_deleted_does_not_come_back_by_catching_up(
        self, bench: Bench
    ) -> None:
        record = bench.upload(CONTENT)
        index = bench.stores.index
        index.remove(record, None)
        # Between the record's being read and its being taken in, somebody deletes it.
        original = index.add

        def add_late(found: Record, manifest: object) -> None:
            bench.stores.records.remove(found.id)
            original(found, None)

        index.add = add_late  # type: ignore[method-assign, assignment]
        bench.services.reindex.catch_up()
        assert index.has_upload(record.id) is False
        assert not bench.is_known(CONTENT)


class TestReplicas:
    BOB = "replica/user/bob/results"

    def test_they_go_with_the_upload_and_latest_shows_the_one_before(self, bench: Bench) -> None:
        for content in (b"first", b"second"):
            last = bench.upload(content, username="bob")
        assert bench.shown(f"{self.BOB}.latest.xml") == f"{self.BOB}.20261121.1432.1.xml"
        bench.delete(last)
        assert bench.shown(f"{self.BOB}.latest.xml") == f"{self.BOB}.20261121.1432.0.xml"
        with pytest.raises(NameNotFound):
            bench.stores.shelves.look(PublicPath.parse(f"{self.BOB}.20261121.1432.1.xml"))

    def test_latest_goes_with_the_last_one(self, bench: Bench) -> None:
        bench.delete(bench.upload(CONTENT, username="bob"))
        path = f"{self.BOB}.latest.xml"
        assert bench.shown(path) == path
        with pytest.raises(NameNotFound):
            bench.stores.shelves.look(PublicPath.parse(path))

    def test_latest_pass_shows_the_newest_one_that_passed(self, bench: Bench) -> None:
        outcomes = ("pass", "fail", "pass")
        records = [
            bench.upload(b"%d" % number, username="bob", result=outcome)
            for number, outcome in enumerate(outcomes)
        ]
        bench.delete(records[2])
        assert bench.shown(f"{self.BOB}.latest-pass.xml") == f"{self.BOB}.20261121.1432.0.xml"
        assert bench.shown(f"{self.BOB}.latest.xml") == f"{self.BOB}.20261121.1432.1.xml"

    def test_an_older_one_goes_without_touching_latest(self, bench: Bench) -> None:
        first, _ = (bench.upload(content, username="bob") for content in (b"1", b"2"))
        bench.delete(first)
        assert bench.shown(f"{self.BOB}.latest.xml") == f"{self.BOB}.20261121.1432.1.xml"

    def test_who_names_the_upload_deletes_no_replica_of_another(self, bench: Bench) -> None:
        first = bench.upload(CONTENT, username="bob")
        path = first.replicas[0].path
        bench.delete(first)
        second = bench.upload(CONTENT, username="bob")
        assert second.replicas[0].path == path
        with pytest.raises(NameNotFound):
            bench.services.delete.replica(PublicPath.parse(path), first.id)
        assert bench.services.delete.replica(PublicPath.parse(path), second.id).is_finished

    def test_of_two_who_delete_a_replica_at_once_none_takes_another_s(self, bench: Bench) -> None:
        record = bench.upload(CONTENT, username="bob")
        path, load = record.replicas[0].path, bench.stores.records.load
        others: list[Record | None] = []

        def load_and_be_late(upload: UploadId) -> Record:
            loaded = load(upload)
            if not others:
                others.append(None)
                bench.delete_replica(path)
                others[0] = bench.upload(b"another", username="bob")
            return loaded

        bench.stores.records.load = load_and_be_late  # type: ignore[method-assign]
        with pytest.raises(NameNotFound):
            bench.delete_replica(path)
        assert others[0]
        assert [one.path for one in others[0].replicas] == [path]
        assert bench.shown(f"{self.BOB}.latest.xml") == path
        assert bench.stores.index.find_replica(path) == others[0].id

    def test_a_replica_alone_goes_and_its_upload_stays(self, bench: Bench) -> None:
        record = bench.upload(CONTENT, username="bob")
        path = record.replicas[0].path
        assert bench.delete_replica(path) == Freed(0, len(CONTENT), (record.id,))
        assert bench.stores.records.load(record.id).replicas == ()
        with pytest.raises(NameNotFound):
            bench.delete_replica(path)
        assert bench.is_known(CONTENT)
        assert bench.delete(record) == Freed(len(CONTENT), 0)

    def test_a_tree_goes_as_a_whole_only(self, bench: Bench) -> None:
        record = bench.upload(tree_of_two(b"one", b"two"), "results.tar", username="bob")
        path = record.replicas[0].path
        for part in (f"{path}/a", f"{path}/a/first", "replica/user", "replica/user/bob"):
            with pytest.raises(NotDeletable):
                bench.delete_replica(part)
        for link in (f"{self.BOB}.latest", f"{self.BOB}.latest/a/first"):
            with pytest.raises(NotDeletable):
                bench.delete_replica(link)
        with pytest.raises(NameNotFound):
            bench.delete_replica(f"{path}/nothing")
        bench.delete_replica(path)
        with pytest.raises(NameNotFound):
            bench.stores.shelves.look(PublicPath.parse(path))


class TestOnDisk:
    @pytest.fixture
    def local(self, tmp_path: Path) -> Iterator[Bench]:
        bench = Bench(local_backend(tmp_path / "store").stores)
        yield bench
        bench.stores.index.close()

    def test_an_operator_s_own_link_keeps_the_content(self, local: Bench, tmp_path: Path) -> None:
        record = local.upload(CONTENT)
        os.link(tmp_path / "store" / record.id.directory / "results.xml", tmp_path / "mine")
        assert local.delete(record) == Freed(0, len(CONTENT))
        assert local.blobs() == [identity(CONTENT).hex]

    def test_a_copy_without_hardlinks_loses_nothing(self, local: Bench, tmp_path: Path) -> None:
        first, second = local.upload(CONTENT), local.upload(CONTENT)
        local.stores.index.close()
        shutil.copytree(tmp_path / "store", tmp_path / "copy", symlinks=True)
        copy = Bench(local_backend(tmp_path / "copy").stores)
        assert copy.delete(first) == Freed(0, len(CONTENT), (second.id,))
        assert copy.stores.blobs.size(identity(CONTENT)) == len(CONTENT)
        assert copy.delete(second) == Freed(len(CONTENT), 0)
        copy.stores.index.close()

    def test_a_reader_goes_on_reading(self, local: Bench) -> None:
        record = local.upload(CONTENT)
        path = PublicPath.parse(f"{record.id.directory}/results.xml")
        with local.stores.shelves.open(path) as reader:
            local.delete(record)
            assert reader.read() == CONTENT


def test_an_upload_whose_deleting_broke_off_anywhere_is_whole_or_gone(tmp_path: Path) -> None:
    """Each call to the disk fails in turn, for good; then a server starts on what is left."""
    made = count()

    def walk(error: int, *, for_good: bool) -> None:
        for failing in count():
            root = tmp_path / str(next(made))
            disk = FaultyDisk()
            bench = Bench(local_backend(root, disk=disk).stores)
            archive = tree_of_two(b"one", b"two")
            other = bench.upload(b"one", username="bob")
            record = bench.upload(archive, "results.tar", username="bob")
            arm(disk, failing, error, for_good=for_good)
            acknowledged = tries(partial(bench.delete, record))
            has_failed = disk.has_failed
            disk.disarm()
            is_there = bench.stores.records.has(record.id)
            assert not (acknowledged and is_there)
            bench.stores.index.close()
            assert_consistent(root, record, other, is_there=is_there)
            if not has_failed:
                assert acknowledged
                return

    walk(errno.EIO, for_good=False)
    walk(errno.EROFS, for_good=True)


def arm(disk: FaultyDisk, failing: int, error: int, *, for_good: bool) -> None:
    disk.arm(failing, error)
    if for_good:
        disk.fail_from(failing, error)


def tries(act: Callable[[], object]) -> bool:
    try:
        act()
    except BucketError:
        return False
    return True


def assert_consistent(root: Path, record: Record, other: Record, *, is_there: bool) -> None:
    """After the next start all of the upload is there, or nothing; and the other one always."""
    stores = local_backend(root).stores
    services = build(Settings.from_environ({}), stores, now=lambda: NOW)
    prepare(stores, services)
    layout = Layout(root)
    assert [*layout.trash.iterdir(), *layout.redo.iterdir()] == []
    assert [*layout.staging.glob("*/*")] == []
    assert stores.records.has(record.id) is is_there
    assert stores.index.has_upload(record.id) is is_there
    names = [layout.root / one.path for one in record.replicas]
    assert [path.exists() for path in names] == [is_there] * len(names)
    for content in (b"one", b"two") if is_there else (b"one",):
        assert layout.blob(identity(content)).read_bytes() == content
        assert stores.index.find(identity(content))
    if not is_there:
        assert stores.index.find(identity(b"two")) == ()
    assert (layout.root / other.replicas[0].path).read_bytes() == b"one"
    latest = layout.root / "replica/user/bob/results.latest"
    assert latest.is_symlink() is is_there
    stores.index.close()


def test_a_number_that_another_upload_got_meanwhile_is_known_to_be_its() -> None:
    stores = memory_backend().stores
    bench = Bench(stores)
    (replica,) = bench.upload(CONTENT, username="bob").replicas
    forget, others = stores.index.forget_replica, list[Record]()

    def forget_too_late(path: str, upload: UploadId) -> None:
        others.append(bench.upload(b"other", username="bob"))
        forget(path, upload)

    stores.index.forget_replica = forget_too_late  # type: ignore[method-assign]
    bench.delete_replica(replica.path)
    assert [one.path for one in others[0].replicas] == [replica.path]
    assert stores.index.find_replica(replica.path) == others[0].id


@pytest.mark.parametrize("is_asked", [False, True])
def test_a_lease_holds_a_content_unless_somebody_wants_it_gone(is_asked: bool) -> None:
    stores = memory_backend().stores
    bench = Bench(stores, RETENTION_DAYS="1")
    record = bench.upload(CONTENT)
    lasting = NOW + timedelta(days=2)
    assert stores.index.lease([identity(CONTENT).value], at_least=lasting, until=lasting)
    if is_asked:
        assert bench.delete(record) == Freed(len(CONTENT), 0)
    else:
        freed = bench.services.delete.upload_if(record.id, lambda found: True)
        assert freed == Freed(0, len(CONTENT))
