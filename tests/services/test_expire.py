"""Expire removes what is over or superseded, and says before what that would be."""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, count, repeat
from pathlib import Path

import pytest

from httpbucket.config import Settings
from httpbucket.domain.errors import BucketError, IndexNotReady
from httpbucket.domain.upload import Record
from httpbucket.server.startup import prepare
from httpbucket.services.expire import Expire, Expired, ExpireTally
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores, build
from tests.backends import local_backend
from tests.builders import tar, tar_member
from tests.examples import NOW, identity, kept_blobs
from tests.faults import FaultyDisk
from tests.replica_checks import replica_faults
from tests.uploading import upload_file

LATER = NOW + timedelta(days=10)


class Bench:
    """Services on a backend; each upload comes a minute after the one before."""

    def __init__(self, stores: Stores, **environ: str) -> None:
        self.stores = stores
        self.minutes = 0
        settings = Settings.from_environ(environ)
        self.services = build(settings, stores, now=lambda: NOW + timedelta(minutes=self.minutes))
        stores.index.prepare()
        self.services.reindex.catch_up()

    @property
    def expire(self) -> Expire:
        return self.services.expire

    def upload(
        self, content: bytes, name: str = "a.xml", days: int | None = None, **headers: str
    ) -> Record:
        self.minutes += 1
        return upload_file(self.services.ingest, content, name, headers=headers, days=days).record

    def mark(self, record: Record) -> None:
        self.services.mark.set(record.id, keep=True)


def test_what_is_over_goes_and_nothing_else(stores: Stores) -> None:
    bench = Bench(stores)
    old = bench.upload(b"old", days=9)
    rest = {bench.upload(b"for ever").id, bench.upload(b"young", days=30).id}
    assert list(bench.expire.plan(LATER)) == [Expired(old.id, "a.xml", "expired", 3)]
    assert bench.expire.run(LATER) == ExpireTally(1, 3)
    assert set(stores.records.ids()) == rest
    assert list(bench.expire.plan(LATER)) == []
    assert bench.expire.run(LATER) == ExpireTally()


def test_the_receipt_says_when(stores: Stores) -> None:
    bench = Bench(stores, RETENTION_DAYS="30")
    record = bench.upload(b"x")
    assert record.expires == record.received + timedelta(days=30)


def test_beyond_the_newest_of_a_template_they_go(stores: Stores) -> None:
    bench = Bench(stores, REPLICATE_0="user/${USERNAME}", REPLICATE_0_KEEP="2")
    records = [bench.upload(b"%d" % number, username="bob") for number in range(4)]
    planned = list(bench.expire.plan(NOW))
    assert [one.upload for one in planned] == [records[1].id, records[0].id]
    assert {one.reason for one in planned} == {"superseded"}
    assert bench.expire.run(NOW).uploads == 2
    assert list(stores.records.ids()) == [records[2].id, records[3].id]


def test_a_marked_upload_stays(stores: Stores) -> None:
    bench = Bench(stores)
    bench.mark(bench.upload(b"x", days=1))
    assert bench.expire.run(LATER) == ExpireTally()


def test_a_leased_upload_stays(stores: Stores) -> None:
    bench = Bench(stores)
    record = bench.upload(b"x", days=1)
    bench.expire._has_lease = lambda upload, now: upload == record.id
    assert list(bench.expire.plan(LATER)) == []
    assert bench.expire.run(LATER) == ExpireTally()


def test_what_somebody_was_told_to_be_here_stays_though_newer_ones_come(stores: Stores) -> None:
    bench = Bench(stores, REPLICATE_0="user/${USERNAME}", REPLICATE_0_KEEP="1", LEASE_SECONDS="600")
    record = bench.upload(b"first", username="bob")
    assert bench.services.ask.find([identity(b"first")]) == (identity(b"first"),)
    bench.upload(b"second", username="bob")
    now = NOW + timedelta(minutes=bench.minutes)
    assert bench.expire.run(now) == ExpireTally()
    assert bench.services.ask.find([identity(b"first")]) == (identity(b"first"),)
    assert bench.expire.run(now + timedelta(hours=1)).uploads == 1
    assert stores.records.has(record.id) is False


def test_a_mark_that_comes_at_the_last_moment_holds(stores: Stores) -> None:
    bench = Bench(stores)
    record = bench.upload(b"x", days=1)

    def mark_then_go() -> bool:
        bench.mark(record)
        return True

    assert bench.expire.run(LATER, may_go_on=mark_then_go) == ExpireTally()
    assert stores.records.has(record.id)


def test_the_plan_tells_the_bytes_that_are_won_together(stores: Stores) -> None:
    bench = Bench(stores)
    tree = tar(tar_member("a", b"member"), tar_member("b", b"of others"))
    bench.upload(b"shared with one that stays")
    bench.upload(b"of others")
    bench.upload(b"shared with one that stays", days=1)
    for _ in range(2):
        bench.upload(b"shared by two that go", days=1)
        bench.upload(tree, "tree.tar", days=1)
    before = sum(stores.blobs.size(one) or 0 for one in kept_blobs(stores.blobs))
    planned = sum(one.unique_bytes for one in bench.expire.plan(LATER))
    done = bench.expire.run(LATER)
    after = sum(stores.blobs.size(one) or 0 for one in kept_blobs(stores.blobs))
    assert (done.uploads, done.bytes_freed) == (5, planned)
    assert planned == before - after
    assert set(kept_blobs(stores.blobs)) == {
        identity(b"shared with one that stays"),
        identity(b"of others"),
    }


def test_a_run_can_be_stopped_and_goes_on(stores: Stores) -> None:
    bench = Bench(stores)
    for number in range(5):
        bench.upload(b"%d" % number, days=1)
    answers = chain(repeat(True, 2), repeat(False))
    assert bench.expire.run(LATER, may_go_on=lambda: next(answers)).uploads == 2
    assert bench.expire.run(LATER).uploads == 3


def test_nothing_goes_while_the_index_is_being_rebuilt(stores: Stores) -> None:
    bench = Bench(stores)
    bench.upload(b"x", days=1)
    stores.index.mark_incomplete()
    with pytest.raises(IndexNotReady):
        bench.expire.run(LATER)


def test_a_damaged_record_is_left_alone(stores: Stores) -> None:
    bench = Bench(stores)
    record = bench.upload(b"x", days=1)
    load = stores.records.load

    def damaged(upload: object) -> Record:
        raise ValueError("damaged")

    stores.records.load = damaged  # type: ignore[method-assign]
    assert bench.expire.run(LATER) == ExpireTally()
    stores.records.load = load  # type: ignore[method-assign]
    assert stores.records.load(record.id) == replace(record)


def test_a_fault_anywhere_leaves_each_upload_whole_or_gone(tmp_path: Path) -> None:
    """Each call to the disk fails in turn, once and for good; the next run does the rest."""
    numbers = count()

    def walk(error: int, *, for_good: bool) -> int:
        for failing in count():
            root, disk = tmp_path / str(next(numbers)), FaultyDisk()
            bench = Bench(local_backend(root, disk=disk).stores, REPLICATE_0="user/${USERNAME}")
            stays = bench.upload(b"shared", username="bob")
            archive = tar(tar_member("a", b"own"), tar_member("b", b"shared"))
            bench.upload(archive, "a.tar", days=1, username="bob")
            bench.upload(b"shared", days=1, username="bob")
            disk.arm(failing, error)
            if for_good:
                disk.fail_from(failing, error)
            with suppress(BucketError):
                bench.expire.run(LATER)
            has_failed = disk.has_failed
            disk.disarm()
            bench.stores.index.close()
            assert_expired_by_the_next(root, stays)
            if not has_failed:
                return failing
        raise AssertionError("counting never ends")

    assert walk(errno.EIO, for_good=False) > 10
    assert walk(errno.EROFS, for_good=True) > 10


def assert_expired_by_the_next(root: Path, stays: Record) -> None:
    """After a start nothing is half; after another run only what is to stay is left."""
    layout = Layout(root)
    again = Bench(local_backend(root).stores)
    prepare(again.stores, again.services)
    assert [*layout.trash.iterdir(), *layout.redo.iterdir(), *layout.staging.glob("*/*")] == []
    assert replica_faults(root) == []
    again.expire.run(LATER)
    # What could not be freed at once is collected.
    again.services.collect.run(datetime.now(UTC) + timedelta(hours=2), despite_lost_leases=True)
    assert list(again.stores.records.ids()) == [stays.id]
    assert kept_blobs(again.stores.blobs) == [identity(b"shared")]
    assert replica_faults(root) == []
    names = [path.name for path in (layout.replicas / "user/bob").iterdir()]
    assert sorted(names) == ["a.20261121.1433.0.xml", "a.latest.xml"]
    again.stores.index.close()
