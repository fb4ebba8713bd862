"""An archive file comes out the same with a scribe, whatever happens to that.

The scribe is killed, or refused by the system, at one of its calls after the other.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from httpbucket.domain.errors import StorageFull
from httpbucket.storage.base import BlobBatch
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.scribe import Scribes, Work
from httpbucket.wiring import Stores
from tests.backends import Backend, local_backend, staged_on_disk
from tests.examples import identity, keep
from tests.faults import FaultyDisk
from tests.faulty_scribes import FAULTS, FaultyScribes
from tests.live.server import wait_until
from tests.processes import waiting_child
from tests.storage.test_batches import assert_whole, upload

SMALL = [b"%d" % number * 2000 for number in range(100, 160)]


@pytest.fixture
def backends() -> Iterator[list[Backend]]:
    """Those that a test makes; what they leave staged fails it."""
    made: list[Backend] = []
    yield made
    for backend in made:
        backend.stores.index.close()
        assert backend.staged() == []


def fill(batch: BlobBatch) -> None:
    """Take many contents at paths of a tree; of two at one path, one can be there."""
    for number, content in enumerate(SMALL):
        batch.add_bytes(content, identity(content), f"d/{number % 50}")


def is_kept(stores: Stores) -> bool:
    return all(stores.blobs.size(identity(content)) == len(content) for content in SMALL)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_scribe_anywhere_changes_nothing(
    tmp_path: Path, backends: list[Backend], fault: str
) -> None:
    for failing in count(1):
        scribes = FaultyScribes(tmp_path / f"scribes-{failing}", failing, fault)
        layout = Layout(tmp_path / f"store-{failing}")
        backends.append(local_backend(layout.root, scribes=scribes))
        upload(backends[-1].stores, 1)
        assert_whole(backends[-1].stores, layout)
        if not scribes.has_failed:
            break
    assert failing > 4


@pytest.mark.parametrize("failing", [1, 20, 61, 62, 105, 140])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_among_many_contents_loses_none_of_them(
    tmp_path: Path, backends: list[Backend], fault: str, failing: int
) -> None:
    scribes = FaultyScribes(tmp_path / "scribes", failing, fault)
    backends.append(local_backend(tmp_path / "store", scribes=scribes))
    stores = backends[-1].stores
    batch = stores.blobs.batch()
    fill(batch)
    for content in SMALL:
        with batch.open(identity(content)) as reader:
            assert reader.read() == content
    batch.keep()
    batch.discard()
    assert scribes.has_failed
    assert is_kept(stores)
    for content in SMALL:
        with stores.blobs.open(identity(content)) as reader:
            assert reader.read() == content


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_disk_that_is_full_for_both_refuses_the_archive_file(
    tmp_path: Path, backends: list[Backend], fault: str
) -> None:
    disk, layout = FaultyDisk(), Layout(tmp_path / "store")
    scribes = FaultyScribes(tmp_path / "scribes", 30, fault)
    backends.append(local_backend(layout.root, disk=disk, scribes=scribes))
    batch = backends[-1].stores.blobs.batch()
    batch.add_bytes(b"first", identity(b"first"), "first")
    batch.add_bytes(b"second", identity(b"second"), "second")
    disk.fail_from_now_on(errno.ENOSPC)
    with pytest.raises(StorageFull):
        fill(batch)
        batch.settle([])
    batch.discard()
    disk.disarm()
    assert backends[-1].staged() == []
    upload(backends[-1].stores, 1)
    assert_whole(backends[-1].stores, layout)


def test_who_gives_up_leaves_neither_files_nor_a_process(
    tmp_path: Path, backends: list[Backend]
) -> None:
    scribes = Scribes(least=1)
    backends.append(local_backend(tmp_path / "store", scribes=scribes))
    batch = backends[-1].stores.blobs.batch()
    fill(batch)
    batch.discard()
    assert backends[-1].staged() == []
    # There may be one at a time.
    with scribes.at_work(Work.FILES, 0) as scribe:
        assert scribe


def test_two_at_once_share_one_scribe_and_both_are_kept(
    tmp_path: Path, backends: list[Backend]
) -> None:
    backends.append(local_backend(tmp_path / "store", scribes=Scribes(least=1)))
    stores = backends[-1].stores
    batches = [stores.blobs.batch(), stores.blobs.batch()]
    for content in SMALL:
        for batch in batches:
            batch.add_bytes(content, identity(content), identity(content).hex)
    for batch in batches:
        batch.keep()
        batch.discard()
    assert is_kept(stores)


def test_what_became_a_blob_meanwhile_stays_that_blob(
    tmp_path: Path, backends: list[Backend]
) -> None:
    backends.append(local_backend(tmp_path / "store", scribes=Scribes(least=1)))
    stores = backends[-1].stores
    batch = stores.blobs.batch()
    fill(batch)
    batch.settle([])
    keep(stores, SMALL[7])
    path = Layout(tmp_path / "store").blob(identity(SMALL[7]))
    before = path.stat().st_ino
    batch.keep()
    batch.discard()
    assert path.stat().st_ino == before
    assert is_kept(stores)


def test_few_contents_take_no_process(tmp_path: Path, backends: list[Backend]) -> None:
    scribes = FaultyScribes(tmp_path / "scribes", 1, FAULTS["killed"], least=len(SMALL) + 1)
    backends.append(local_backend(tmp_path / "store", scribes=scribes))
    batch = backends[-1].stores.blobs.batch()
    fill(batch)
    batch.keep()
    batch.discard()
    assert not scribes.has_failed


def test_what_a_killed_worker_and_its_scribe_were_making_is_swept(
    tmp_path: Path, backends: list[Backend]
) -> None:
    layout = Layout(tmp_path / "store")
    backends.append(local_backend(layout.root, scribes=Scribes(least=1)))
    stores = backends[-1].stores
    with waiting_child(lambda: fill(stores.blobs.batch())):
        assert len(staged_on_disk(layout)) == 1
    wait_until(lambda: stores.staging.sweep() == 1, seconds=20, what="its staging is swept")
    assert list(layout.staging.iterdir()) == []
