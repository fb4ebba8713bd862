"""Relinking beside others, and what it leaves when it dies."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from dataclasses import replace
from itertools import count
from pathlib import Path

from httpbucket.domain.upload import Record
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.examples import identity
from tests.storage.replica_uploads import MEMBERS, file_upload, publish, tree_upload
from tests.storage.test_links import CrampedDisk
from tests.storage.test_replicas_crashes import DIED, DyingDisk, announce_and_die, die_in


def spoil(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(bytes(len(path.read_bytes())))
    path.chmod(0o444)


def test_records_can_be_changed_while_it_reads(local: Stores, layout: Layout) -> None:
    record = publish(local, file_upload(local, content=b"a content"))
    # Reading goes on for as long as the pipe is open at its other end.
    blob = layout.blob(identity(b"a content"))
    blob.unlink()
    os.mkfifo(blob)
    relinking = threading.Thread(target=local.repair.relink, args=[record])
    relinking.start()
    with blob.open("wb"):
        assert local.records.amend(record.id, lambda one: replace(one, keep=True)).keep
        assert relinking.is_alive()
        blob.unlink()
    relinking.join(timeout=20)
    assert not relinking.is_alive()


def test_a_death_at_any_call_to_the_disk_leaves_no_half_replica(tmp_path: Path) -> None:
    for number in count():
        layout = Layout(tmp_path / str(number))
        record, has_died = relink_and_die(layout, number)
        survivor = local_backend(layout.root).stores
        survivor.replicas.finish()
        replica = layout.root / record.replicas[0].path
        found = {one for one in MEMBERS if (replica / one).exists()}
        # Its redo file says that it was promised.
        assert found == set(MEMBERS), f"died at call {number}"
        survivor.index.close()
        if not has_died:
            return


def relink_and_die(layout: Layout, number: int) -> tuple[Record, bool]:
    """Die at this call to the disk, while a published upload lacks its replica."""
    disk = DyingDisk(fsync=False)
    stores = local_backend(layout.root, disk=disk).stores
    record = tree_upload(stores)
    announce_and_die(stores, record, published=True)

    def task() -> None:
        disk.arm(number, errno.EIO)
        stores.repair.relink(record)

    has_died = die_in(task) == DIED
    stores.index.close()
    return record, has_died


def test_a_replica_that_is_gone_is_made_whole_or_not_at_all(local: Stores, layout: Layout) -> None:
    record = publish(local, tree_upload(local))
    replica = layout.root / record.replicas[0].path
    shutil.rmtree(replica)
    style = layout.blob(identity(MEMBERS["report/css/style.css"]))
    (tree,) = layout.upload(record.id).glob("results/report/css/style.css")
    tree.unlink()
    style.unlink()
    lost = local.repair.relink(record).lost
    assert [path.rpartition("/")[2] for path in lost] == ["style.css", "style.css"]
    assert not replica.exists()
    style.write_bytes(MEMBERS["report/css/style.css"])
    assert local.repair.relink(record).lost == ()
    assert (replica / "report/css/style.css").read_bytes() == MEMBERS["report/css/style.css"]


class TestSiblings:
    """Of a file system whose files take few names."""

    def test_a_rotten_one_is_taken_out_and_no_name_leads_to_it(self, tmp_path: Path) -> None:
        stores, layout = cramped(tmp_path)
        records = [publish(stores, file_upload(stores, one, content=b"x")) for one in range(4)]
        blob = identity(b"x")
        siblings = list(layout.blob(blob).parent.glob("*~*"))
        assert siblings
        spoil(siblings[0])
        assert stores.repair.quarantine_siblings(blob) == 1
        assert [*stores.repair.quarantined()] == [blob]
        for record in records:
            assert stores.repair.relink(record).lost == ()
            paths = [layout.upload(record.id) / "results.xml", *replicas_of(layout, record)]
            assert {path.read_bytes() for path in paths} == {b"x"}
        stores.repair.release(blob)
        assert [*layout.quarantine.iterdir()] == []
        stores.index.close()

    def test_a_right_one_heals_a_rotten_blob(self, tmp_path: Path) -> None:
        stores, layout = cramped(tmp_path)
        records = [publish(stores, file_upload(stores, one, content=b"x")) for one in range(4)]
        blob = identity(b"x")
        spoil(layout.blob(blob))
        stores.repair.quarantine(blob)
        assert [*layout.blob(blob).parent.iterdir()] == []
        for _ in range(2):
            lost = [path for one in records for path in stores.repair.relink(one).lost]
        assert lost == []
        paths = [path for one in records for path in replicas_of(layout, one)]
        assert {path.read_bytes() for path in paths} == {b"x"}
        stores.index.close()


def cramped(root: Path) -> tuple[Stores, Layout]:
    layout = Layout(root / "store")
    return local_backend(layout.root, disk=CrampedDisk(4)).stores, layout


def replicas_of(layout: Layout, record: Record) -> list[Path]:
    return [layout.root / one.path for one in record.replicas]
