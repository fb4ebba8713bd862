"""Collect frees what no upload names, and nothing else."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain, count, repeat
from pathlib import Path

import pytest

from httpbucket.config import Settings
from httpbucket.domain.checksum_file import read_checksum_file
from httpbucket.domain.digest import EMPTY, Digest
from httpbucket.domain.errors import BucketError, IndexNotReady
from httpbucket.domain.upload import Record
from httpbucket.server.startup import prepare
from httpbucket.services import collect
from httpbucket.services.collect import CollectTally
from httpbucket.services.terms import Terms
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores, build
from tests.backends import local_backend
from tests.builders import tar, tar_member
from tests.examples import identity, keep, kept_blobs
from tests.faults import FaultyDisk
from tests.uploading import upload_file

ORPHAN = b"nothing names this"


class Bench:
    """Services on a backend, by the clock of the file system."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.services = build(Settings.from_environ({}), stores)
        stores.index.prepare()
        stores.index.leases_since(datetime.now(UTC) - timedelta(days=9))
        self.services.reindex.catch_up()

    def upload(self, content: bytes, name: str = "a.xml") -> Record:
        return upload_file(self.services.ingest, content, name).record

    def collect(self, *, hours: float = 2, dry_run: bool = False) -> CollectTally:
        now = datetime.now(UTC) + timedelta(hours=hours)
        return self.services.collect.run(now, dry_run=dry_run)

    def blobs(self) -> list[Digest]:
        return kept_blobs(self.stores.blobs)


@pytest.fixture
def bench(stores: Stores) -> Bench:
    return Bench(stores)


def test_what_no_upload_names_goes(bench: Bench) -> None:
    bench.upload(b"named")
    keep(bench.stores, ORPHAN)
    assert bench.collect() == CollectTally(3, 1, len(ORPHAN))
    assert bench.blobs() == [identity(b"named")]
    assert bench.collect() == CollectTally(2)


def test_members_and_manifests_stay(bench: Bench) -> None:
    bench.upload(tar(tar_member("a", b"one"), tar_member("b", b"two")), "a.tar")
    before = bench.blobs()
    assert len(before) == 4
    assert bench.collect().blobs == 0
    assert bench.blobs() == before


def test_the_empty_blob_stays(bench: Bench) -> None:
    bench.collect()
    assert bench.stores.blobs.size(EMPTY) == 0


def test_what_is_young_stays(bench: Bench) -> None:
    keep(bench.stores, ORPHAN)
    assert bench.collect(hours=0.5).blobs == 0
    assert bench.blobs() == [identity(ORPHAN)]


def test_what_somebody_holds_stays(bench: Bench) -> None:
    keep(bench.stores, ORPHAN)
    with bench.stores.blobs.hold(identity(ORPHAN)):
        assert bench.collect().blobs == 0
    assert bench.collect().blobs == 1


def test_what_is_leased_stays(bench: Bench) -> None:
    keep(bench.stores, ORPHAN)
    let_go = bench.services.collect._let_go
    let_go._is_leased = lambda digest, now: digest == identity(ORPHAN)
    assert bench.collect().blobs == 0


def test_what_came_of_a_tree_stays_for_the_rest(bench: Bench) -> None:
    checksums = b"".join(
        hashlib.sha256(content).hexdigest().encode() + b"  " + name + b"\n"
        for name, content in ((b"a", b"one"), (b"b", b"two"))
    )
    offers = bench.services.offer_tree
    tree = offers.offer("tree", read_checksum_file([checksums], preferred="sha256"), Terms())
    act = bench.services.ingest.begin()
    try:
        half = act.new_file()
        half.write(tar(tar_member("a", b"one")))
        assert offers.complete(tree.id, half, Terms()).missing == ("b",)
    finally:
        act.close()
    assert bench.collect().blobs == 0
    assert offers.look(tree.id).missing == ("b",)


def test_a_dry_run_counts_and_frees_nothing(bench: Bench) -> None:
    keep(bench.stores, ORPHAN)
    assert bench.collect(dry_run=True) == CollectTally(2, 1, len(ORPHAN))
    assert bench.blobs() == [identity(ORPHAN)]


def test_a_run_can_be_stopped_and_goes_on_from_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "BLOBS_AT_ONCE", 3)
    for number in range(9):
        keep(bench.stores, b"%d" % number)
    answers = chain(repeat(True, 2), repeat(False))
    now = datetime.now(UTC) + timedelta(hours=2)
    first = bench.services.collect.run(now, may_go_on=lambda: next(answers))
    assert first.looked_at == 6
    assert first.last is not None
    second = bench.services.collect.run(now, after=first.last)
    assert (second.looked_at, second.last) == (4, None)
    assert first.blobs + second.blobs == 9


def test_nothing_goes_before_leases_that_a_lost_index_held_are_over(tmp_path: Path) -> None:
    stores = local_backend(tmp_path / "store").stores
    services = build(Settings.from_environ({"LEASE_SECONDS": "86400"}), stores)
    services.reindex.catch_up()
    keep(stores, ORPHAN)
    now = datetime.now(UTC) + timedelta(hours=2)
    with pytest.raises(IndexNotReady, match=r"before .* is not known"):
        services.collect.run(now)
    assert services.collect.run(now, dry_run=True).blobs == 1
    with pytest.raises(IndexNotReady):
        services.collect.run(now + timedelta(hours=23))
    assert services.collect.run(now, dry_run=True).blobs == 1
    assert services.collect.run(now, despite_lost_leases=True).blobs == 1
    keep(stores, ORPHAN)
    assert services.collect.run(now + timedelta(days=1)).blobs == 1
    stores.index.close()


def test_nothing_goes_while_the_index_is_being_rebuilt(bench: Bench) -> None:
    keep(bench.stores, ORPHAN)
    bench.stores.index.mark_incomplete()
    with pytest.raises(IndexNotReady):
        bench.collect()
    assert bench.blobs() == [identity(ORPHAN)]


def test_a_copy_without_hardlinks_loses_nothing(tmp_path: Path) -> None:
    bench = Bench(local_backend(tmp_path / "store").stores)
    bench.upload(tar(tar_member("a", b"one")), "a.tar")
    bench.upload(b"file")
    before = bench.blobs()
    bench.stores.index.close()
    shutil.copytree(tmp_path / "store", tmp_path / "copy", symlinks=True)
    copy = Bench(local_backend(tmp_path / "copy").stores)
    assert copy.collect().blobs == 0
    assert copy.blobs() == before
    copy.stores.index.close()


def test_an_operator_s_own_link_keeps_a_content(tmp_path: Path) -> None:
    bench = Bench(local_backend(tmp_path / "store").stores)
    keep(bench.stores, ORPHAN)
    os.link(Layout(tmp_path / "store").blob(identity(ORPHAN)), tmp_path / "mine")
    assert bench.collect().blobs == 0
    bench.stores.index.close()


def test_a_fault_anywhere_frees_what_nothing_names_or_leaves_it_to_the_next_run(
    tmp_path: Path,
) -> None:
    """Each call to the disk fails in turn, once and for good; then a server starts on the rest."""
    numbers = count()

    def walk(error: int, *, for_good: bool) -> int:
        for failing in count():
            root, disk = tmp_path / str(next(numbers)), FaultyDisk()
            bench = Bench(local_backend(root, disk=disk).stores)
            tree = bench.upload(tar(tar_member("a", b"one"), tar_member("b", b"two")), "a.tar")
            named = bench.blobs()
            for number in range(3):
                keep(bench.stores, b"%d" % number)
            disk.arm(failing, error)
            if for_good:
                disk.fail_from(failing, error)
            with suppress(BucketError):
                bench.collect()
            has_failed = disk.has_failed
            disk.disarm()
            bench.stores.index.close()
            assert_collected_by_the_next(root, named, tree)
            if not has_failed:
                return failing
        raise AssertionError("counting never ends")

    assert walk(errno.EIO, for_good=False) >= 6
    assert walk(errno.EROFS, for_good=True) >= 6


def assert_collected_by_the_next(root: Path, named: list[Digest], tree: Record) -> None:
    again = Bench(local_backend(root).stores)
    prepare(again.stores, again.services)
    layout = Layout(root)
    assert [*layout.trash.iterdir(), *layout.staging.glob("*/*")] == []
    assert set(named) <= set(again.blobs())
    again.collect()
    assert again.blobs() == named
    directory = layout.upload(tree.id) / "a"
    assert [(directory / name).read_bytes() for name in "ab"] == [b"one", b"two"]
    again.stores.index.close()
