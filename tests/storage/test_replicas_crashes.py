"""Replicas on disk after a process died: there if and only if the upload's record says so."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from httpbucket.domain.errors import StorageFull
from httpbucket.domain.upload import Record
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores
from tests.backends import local_backend, open_files, staged_on_disk
from tests.examples import file_of
from tests.faults import FaultyDisk
from tests.processes import waiting_child
from tests.replica_checks import link_faults, replica_faults
from tests.storage.replica_uploads import (
    BOB,
    EVE,
    compressed_upload,
    entries,
    file_upload,
    held,
    name_of,
    publish,
    tree_upload,
)

DIED = 7


class DyingDisk(FaultyDisk):
    """Ends the process in place of the call that it is armed with."""

    def _count(self, call: str) -> None:
        try:
            super()._count(call)
        except OSError:
            os._exit(DIED)


class PowerLossDisk(Disk):
    """Notes which redo files the disk would show after power loss."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self._redo = layout.redo
        self.surviving: set[str] = set()

    def sync_directory(self, path: Path | str) -> None:
        super().sync_directory(path)
        if Path(path) == self._redo:
            self.surviving = {entry.name for entry in Path(path).iterdir()}


def die_in(task: Callable[[], object]) -> int:
    """Do the task in a process that dies in the midst of it, or right after; its exit status."""
    child = os.fork()
    if child == 0:
        try:
            task()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def redo_files(layout: Layout) -> list[str]:
    return sorted(path.name for path in layout.redo.iterdir())


def latest(layout: Layout, name: str = "results.latest.xml") -> str:
    return str((layout.root / BOB / name).readlink())


def announce_and_die(stores: Stores, record: Record, *, published: bool) -> None:
    """Die before or after publishing, with nothing made."""

    def task() -> None:
        with held(stores, record) as directories:
            directories.announce(record)
            if published:
                stores.records.publish(record)
            os._exit(0)

    die_in(task)


def test_a_death_before_publishing_leaves_no_replica(layout: Layout, local: Stores) -> None:
    announce_and_die(local, file_upload(local), published=False)
    assert len(redo_files(layout)) == 1
    local.replicas.finish()
    assert redo_files(layout) == []
    assert replica_faults(layout.root) == []
    assert entries(local) == []


def test_a_death_after_publishing_is_made_up_for_at_the_next_start(
    layout: Layout, local: Stores
) -> None:
    announce_and_die(local, file_upload(local, directories=[BOB, EVE]), published=True)
    assert local.replicas.finish() == 1
    assert redo_files(layout) == []
    assert replica_faults(layout.root) == []
    assert latest(layout) == name_of(0)


def test_whoever_holds_the_directory_next_makes_what_is_missing(
    layout: Layout, local: Stores
) -> None:
    announce_and_die(local, file_upload(local, directories=[BOB, EVE]), published=True)
    assert entries(local, BOB) == [name_of(0), "results.latest.xml"]
    assert len(redo_files(layout)) == 1
    assert entries(local, EVE) == [name_of(0), "results.latest.xml"]
    assert redo_files(layout) == []


def test_the_next_holder_forgets_what_was_not_published(layout: Layout, local: Stores) -> None:
    announce_and_die(local, file_upload(local), published=False)
    assert entries(local) == []
    assert redo_files(layout) == []


@pytest.mark.parametrize("make", [file_upload, compressed_upload, tree_upload])
@pytest.mark.parametrize("finish", [True, False], ids=["start", "next-holder"])
def test_a_death_at_any_call_to_the_disk_leaves_what_the_record_says(
    tmp_path: Path, make: Callable[[Stores, int], Record], *, finish: bool
) -> None:
    for number in count():
        root = tmp_path / str(number)
        has_died = publish_and_die(root, make, number)
        assert list(link_faults(root / "replica")) == [], f"died at call {number}"
        survivor = local_backend(root).stores
        if finish:
            survivor.replicas.finish()
        entries(survivor)
        assert replica_faults(root) == [], f"died at call {number}"
        assert redo_files(Layout(root)) == []
        if not has_died:
            break
    assert number > 8


def publish_and_die(root: Path, make: Callable[[Stores, int], Record], failing: int) -> bool:
    """Publish one upload, and a second in a process that dies in place of one of its calls."""
    disk = DyingDisk()
    stores = local_backend(root, disk=disk).stores
    publish(stores, make(stores, 0))
    record = make(stores, 1)
    disk.arm(failing, errno.EIO)
    return die_in(lambda: publish(stores, record)) == DIED


def test_a_redo_file_that_reappears_after_power_loss_does_no_harm(
    layout: Layout, local: Stores
) -> None:
    publish(local, file_upload(local, 0))
    record = publish(local, compressed_upload(local, 1))
    announce_and_die(local, record, published=False)
    before = (layout.root / record.replicas[0].path).stat()
    assert local.replicas.finish() == 1
    assert redo_files(layout) == []
    assert replica_faults(layout.root) == []
    assert (layout.root / record.replicas[0].path).stat().st_ino == before.st_ino


def test_no_redo_file_outlives_the_next_publication_in_its_directory(layout: Layout) -> None:
    """Else a start after power loss would move ``latest`` back."""
    disk = PowerLossDisk(layout)
    stores = local_backend(layout.root, disk=disk).stores
    first, second = file_upload(stores, 0), file_upload(stores, 1)
    publish(stores, first)
    assert [name.startswith(str(first.id)) for name in disk.surviving] == [True]
    publish(stores, second)
    assert [name.startswith(str(second.id)) for name in disk.surviving] == [True]


def test_a_replica_that_an_operator_removed_comes_back_only_by_a_redo_file(
    layout: Layout, local: Stores
) -> None:
    record = publish(local, file_upload(local))
    (layout.root / record.replicas[0].path).unlink()
    assert local.replicas.finish() == 0
    assert entries(local) == ["results.latest.xml"]


def test_a_start_leaves_alone_what_a_living_process_announced(
    layout: Layout, local: Stores
) -> None:
    """Another server on the same store may be between announcing and publishing."""
    record = file_upload(local)
    with waiting_child(lambda: announce_in_held(local, record)):
        finishing = threading.Thread(target=local_backend(layout.root).stores.replicas.finish)
        finishing.start()
        finishing.join(0.3)
        assert len(redo_files(layout)) == 1
    finishing.join()
    assert redo_files(layout) == []


def announce_in_held(stores: Stores, record: Record) -> object:
    """Hold the directories for as long as what is returned lives."""
    holding = held(stores, record)
    holding.__enter__().announce(record)
    return holding


@pytest.mark.parametrize("text", [b"", b"{", b'{"format": 99}'])
def test_a_damaged_record_stops_neither_the_start_nor_the_next_upload(
    layout: Layout, local: Stores, text: bytes
) -> None:
    record = file_upload(local, 0)
    announce_and_die(local, record, published=True)
    damage(layout.upload(record.id) / ".upload.json", text)
    publish(local, file_upload(local, 1))
    assert entries(local) == [name_of(1), "results.latest.xml"]
    announce_and_die(local, record, published=False)
    local.replicas.finish()
    assert redo_files(layout) == []


def test_strangers_in_the_redo_directory_do_not_stop_the_start(
    layout: Layout, local: Stores
) -> None:
    (layout.redo / "directory").mkdir()
    (layout.redo / "file").touch()
    announce_and_die(local, file_upload(local), published=True)
    local.replicas.finish()
    assert redo_files(layout) == ["directory"]
    assert entries(local) == [name_of(0), "results.latest.xml"]


def test_a_tree_whose_manifest_is_lost_stops_neither_the_start_nor_the_next_upload(
    layout: Layout, local: Stores
) -> None:
    record = tree_upload(local, 0)
    announce_and_die(local, record, published=True)
    assert record.manifest is not None
    layout.blob(record.manifest).unlink()
    publish(local, file_upload(local, 1))
    assert entries(local) == [name_of(1), "results.latest.xml"]


def test_a_file_whose_blob_is_lost_stops_neither_the_start_nor_the_next_upload(
    layout: Layout, local: Stores
) -> None:
    record = file_upload(local, 0)
    announce_and_die(local, record, published=True)
    layout.blob(file_of(record).blob.sha256).unlink()
    publish(local, file_upload(local, 1))
    assert entries(local) == [name_of(1), "results.latest.xml"]


def test_a_start_goes_on_where_a_directory_cannot_be_used(layout: Layout, local: Stores) -> None:
    """Its replicas wait for a later start; those elsewhere are made."""
    announce_and_die(local, file_upload(local, 0, directories=[BOB]), published=True)
    announce_and_die(local, file_upload(local, 1, directories=[EVE]), published=True)
    (layout.root / BOB).parent.mkdir(parents=True)
    (layout.root / BOB).symlink_to("/nowhere")
    local.replicas.finish()
    assert entries(local, EVE) == [name_of(1), "results.latest.xml"]
    assert len(redo_files(layout)) == 1
    (layout.root / BOB).unlink()
    local.replicas.finish()
    assert replica_faults(layout.root) == []
    assert redo_files(layout) == []


@pytest.mark.parametrize("name", ["strange", f"{'0' * 8}-x", "20261121T143205.812Z-9f3c-"])
def test_a_strange_file_among_the_redo_files_is_removed(
    layout: Layout, local: Stores, name: str
) -> None:
    (layout.redo / name).touch()
    local.replicas.finish()
    assert redo_files(layout) == []


def damage(path: Path, text: bytes) -> None:
    path.unlink()
    path.write_bytes(text)


@pytest.mark.parametrize("make", [file_upload, compressed_upload, tree_upload])
def test_a_call_to_the_disk_that_fails_is_made_up_for_by_the_next_upload(
    tmp_path: Path, make: Callable[[Stores, int], Record]
) -> None:
    for number in count():
        root = tmp_path / str(number)
        disk = FaultyDisk()
        stores = local_backend(root, disk=disk).stores
        record, later = make(stores, 0), make(stores, 1)
        disk.arm(number, errno.ENOSPC)
        with suppress(StorageFull):
            publish(stores, record)
        has_failed = disk.has_failed
        disk.disarm()
        assert staged_on_disk(Layout(root)) == [], f"failed at call {number}"
        assert open_files(str((root / "replica").resolve())) == [], f"failed at call {number}"
        publish(stores, later)
        assert replica_faults(root) == [], f"failed at call {number}"
        assert redo_files(Layout(root)) == []
        if not has_failed:
            break
    assert number > 8
