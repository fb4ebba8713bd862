"""Many contents become blobs together: the contract of `BlobBatch`, and trees made of them.

Whichever call to the disk fails while an archive file comes in, its upload is refused whole or kept
whole, and can be repeated (the idea is SQLite's: https://www.sqlite.org/testing.html, 3.2).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from httpbucket.config import Settings
from httpbucket.domain.errors import BlobNotFound, BucketError, StorageFull, StorageUnavailable
from httpbucket.domain.upload import Record
from httpbucket.storage.base import BlobBatch
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.scribe import Scribes
from httpbucket.wiring import Stores, build
from tests.backends import Backend, local_backend
from tests.builders import COMPRESSORS, tar, tar_member
from tests.examples import NOW, identity, keep, stage
from tests.faults import FaultyDisk
from tests.storage.conftest import BACKENDS
from tests.uploading import upload_file

SMALL = b"a small content"
LARGE = bytes(range(256)) * 8192


def new_blobs(stores: Stores) -> set[str]:
    """Every blob but the empty one, which is always there."""
    return {digest.hex for digest in stores.blobs.digests()} - {identity(b"").hex}


def read(stores: Stores, content: bytes) -> bytes:
    with stores.blobs.open(identity(content)) as reader:
        return reader.read()


BATCH_BACKENDS = BACKENDS | {
    "local-scribe": lambda root: local_backend(root, scribes=Scribes(least=1))
}


@pytest.fixture(params=BATCH_BACKENDS)
def backend(request: pytest.FixtureRequest, root: Path) -> Iterator[Backend]:
    """Each backend, and one with a process that writes what comes at a path."""
    backend = BATCH_BACKENDS[request.param](root)
    yield backend
    backend.stores.index.close()
    assert backend.staged() == []


Add = Callable[[BlobBatch, bytes], bool]


@pytest.fixture(params=[False, True], ids=["under its name", "at a path"])
def add(request: pytest.FixtureRequest) -> Add:
    """Has a batch take a small content, for a tree or for none."""

    def add_bytes(batch: BlobBatch, content: bytes) -> bool:
        digest = identity(content)
        return batch.add_bytes(content, digest, f"d/{digest.hex}" if request.param else "")

    return add_bytes


class TestBlobBatch:
    def test_small_and_large_contents_become_blobs_together(
        self, backend: Backend, add: Add
    ) -> None:
        stores = backend.stores
        batch = stores.blobs.batch()
        add(batch, SMALL)
        batch.add_staged(stage(stores.staging, LARGE), identity(LARGE))
        assert new_blobs(stores) == set()
        batch.keep()
        batch.discard()
        assert (read(stores, SMALL), read(stores, LARGE)) == (SMALL, LARGE)
        assert backend.staged() == []

    def test_what_is_held_is_not_freed(self, backend: Backend) -> None:
        stores = backend.stores
        keep(stores, SMALL)
        batch = stores.blobs.batch()
        assert [batch.hold(identity(one)) for one in (SMALL, b"", SMALL, LARGE)] == [
            True,
            True,
            True,
            False,
        ]
        assert stores.blobs.free(identity(SMALL)) is None
        batch.discard()
        assert stores.blobs.free(identity(SMALL)) == len(SMALL)
        assert backend.staged() == []

    def test_what_comes_twice_is_one_blob(self, backend: Backend, add: Add) -> None:
        stores = backend.stores
        batch = stores.blobs.batch()
        for _ in range(3):
            add(batch, SMALL)
            batch.add_staged(stage(stores.staging, SMALL), identity(SMALL))
            batch.add_staged(stage(stores.staging, LARGE), identity(LARGE))
        batch.keep()
        batch.discard()
        assert new_blobs(stores) == {identity(SMALL).hex, identity(LARGE).hex}
        assert backend.staged() == []

    def test_what_is_a_blob_already_stays_that_blob(
        self, backend: Backend, layout: Layout, add: Add
    ) -> None:
        stores = backend.stores
        keep(stores, SMALL)
        keep(stores, LARGE)
        before = inodes(layout, SMALL, LARGE)
        batch = stores.blobs.batch()
        add(batch, SMALL)
        batch.add_staged(stage(stores.staging, LARGE), identity(LARGE))
        batch.keep()
        batch.discard()
        assert inodes(layout, SMALL, LARGE) == before
        assert (read(stores, SMALL), read(stores, LARGE)) == (SMALL, LARGE)

    def test_what_became_a_blob_in_the_meantime_stays_that_blob(
        self, backend: Backend, layout: Layout, add: Add
    ) -> None:
        stores = backend.stores
        batch = stores.blobs.batch()
        add(batch, SMALL)
        keep(stores, SMALL)
        before = inodes(layout, SMALL)
        batch.keep()
        batch.discard()
        assert inodes(layout, SMALL) == before

    def test_the_empty_content_is_taken_as_any_other(self, stores: Stores, add: Add) -> None:
        batch = stores.blobs.batch()
        add(batch, b"")
        batch.add_staged(stores.staging.create(), identity(b""))
        batch.keep()
        batch.discard()
        assert stores.blobs.size(identity(b"")) == 0

    def test_an_empty_batch_can_be_kept(self, stores: Stores) -> None:
        batch = stores.blobs.batch()
        batch.keep()
        batch.discard()
        assert new_blobs(stores) == set()

    def test_what_is_forgotten_does_not_become_a_blob(self, backend: Backend, add: Add) -> None:
        stores = backend.stores
        batch = stores.blobs.batch()
        add(batch, SMALL)
        batch.add_staged(stage(stores.staging, LARGE), identity(LARGE))
        add(batch, b"wanted")
        for content in (SMALL, LARGE, LARGE, b"never taken"):
            batch.forget(identity(content))
        batch.keep()
        batch.discard()
        assert new_blobs(stores) == {identity(b"wanted").hex}
        assert backend.staged() == []

    def test_what_is_forgotten_can_be_taken_again(self, stores: Stores, add: Add) -> None:
        batch = stores.blobs.batch()
        add(batch, SMALL)
        batch.forget(identity(SMALL))
        add(batch, SMALL)
        batch.keep()
        batch.discard()
        assert read(stores, SMALL) == SMALL

    def test_a_blob_that_is_forgotten_stays(self, stores: Stores, add: Add) -> None:
        keep(stores, SMALL)
        batch = stores.blobs.batch()
        add(batch, SMALL)
        batch.forget(identity(SMALL))
        batch.keep()
        batch.discard()
        assert read(stores, SMALL) == SMALL

    def test_what_is_discarded_leaves_nothing(self, backend: Backend, add: Add) -> None:
        stores = backend.stores
        batch = stores.blobs.batch()
        add(batch, SMALL)
        batch.add_staged(stage(stores.staging, LARGE), identity(LARGE))
        batch.discard()
        batch.discard()
        assert new_blobs(stores) == set()
        assert backend.staged() == []

    def test_what_was_kept_survives_discarding(self, stores: Stores, add: Add) -> None:
        batch = stores.blobs.batch()
        add(batch, SMALL)
        batch.keep()
        batch.discard()
        assert read(stores, SMALL) == SMALL

    def test_two_batches_do_not_know_of_each_other(self, stores: Stores, add: Add) -> None:
        first, second = stores.blobs.batch(), stores.blobs.batch()
        for batch in (first, second):
            add(batch, SMALL)
        first.discard()
        second.keep()
        second.discard()
        assert read(stores, SMALL) == SMALL


def inodes(layout: Layout, *contents: bytes) -> list[int | None]:
    """By which a file is told from one that took its place; None in memory."""
    paths = [layout.blob(identity(content)) for content in contents]
    return [path.stat().st_ino if path.exists() else None for path in paths]


class TestOnDisk:
    def test_blobs_and_their_directories_have_the_modes_of_the_layout(
        self, local: Stores, layout: Layout
    ) -> None:
        batch = local.blobs.batch()
        batch.add_bytes(SMALL, identity(SMALL))
        batch.add_staged(stage(local.staging, LARGE), identity(LARGE))
        batch.keep()
        batch.discard()
        for content in (SMALL, LARGE):
            path = layout.blob(identity(content))
            assert stat.S_IMODE(path.stat().st_mode) == 0o444
            assert path.stat().st_nlink == 1
            for directory in (path.parent, path.parent.parent):
                assert stat.S_IMODE(directory.stat().st_mode) == 0o755

    def test_nobody_else_sees_what_waits(self, local: Stores, layout: Layout) -> None:
        batch = local.blobs.batch()
        batch.add_bytes(SMALL, identity(SMALL))
        waiting = [path for path in layout.staging.glob("*/*") if path.is_dir()]
        assert [stat.S_IMODE(path.stat().st_mode) for path in waiting] == [0o700]
        batch.discard()

    def test_known_contents_are_not_written(self, tmp_path: Path) -> None:
        disk = FaultyDisk()
        backend = local_backend(tmp_path, disk=disk)
        keep(backend.stores, SMALL)
        batch = backend.stores.blobs.batch()
        disk.arm(-1, 0)
        batch.add_bytes(SMALL, identity(SMALL))
        assert disk.calls == ["link"]
        batch.discard()
        backend.stores.index.close()

    def test_however_many_contents_are_synced_by_two_calls(self, tmp_path: Path) -> None:
        disk = FaultyDisk()
        backend = local_backend(tmp_path, disk=disk)
        batch = backend.stores.blobs.batch()
        disk.arm(-1, 0)
        for number in range(50):
            batch.add_bytes(b"%d" % number, identity(b"%d" % number))
        batch.keep()
        batch.discard()
        syncs = [call for call in disk.calls if call.startswith("sync")]
        assert syncs == ["sync_everything"] * 2
        # The contents last before they get their names, and those before anybody relies on them.
        assert disk.calls.index("sync_everything") < disk.calls.index("link")
        assert disk.calls[-1] == "sync_everything"
        backend.stores.index.close()


REFUSALS = {errno.ENOSPC: StorageFull, errno.EIO: StorageUnavailable}
MEMBERS = {
    "report/index.html": b"<html>",
    "report/large": LARGE,
    "report/void/": None,
    "run.sh": b"#!/bin/sh\n",
    "empty": b"",
    "again": b"<html>",
}
TGZ = COMPRESSORS["gzip"](
    tar(
        *(
            tar_member(name, content or b"", kind=b"5" if content is None else b"0")
            for name, content in MEMBERS.items()
        )
    )
)


def upload(stores: Stores, number: int) -> Record:
    """Upload the archive file as a client does; ``number`` makes the id."""
    ingest = build(
        Settings.from_environ({"DIGESTS": "sha256"}),
        stores,
        now=lambda: NOW,
        random_bits=lambda: number,
    ).ingest
    return upload_file(ingest, TGZ, "results.tgz").record


def on_disk(tree: Path) -> dict[str, bytes | None]:
    """Files by path, and empty directories."""
    return {
        f"{path.relative_to(tree)}/" if path.is_dir() else str(path.relative_to(tree)): (
            None if path.is_dir() else path.read_bytes()
        )
        for path in tree.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


def assert_whole(stores: Stores, layout: Layout) -> None:
    """Every upload on disk is complete, and every blob is what its name says."""
    uploads = list(stores.records.ids())
    assert sorted(path.name for path in layout.archive.glob("*/*/*/*")) == sorted(map(str, uploads))
    for path in layout.blobs.glob("??/??/*"):
        assert identity(path.read_bytes()).hex == path.name
    for one in uploads:
        names = {path.name for path in layout.upload(one).iterdir()}
        expected = {"results", "results.tar", "results.tgz", ".manifest.jsonl", ".upload.json"}
        assert names == expected
        assert on_disk(layout.upload(one) / "results") == MEMBERS


@pytest.fixture
def stores_by_number(tmp_path: Path) -> Iterator[list[Stores]]:
    made: list[Stores] = []
    yield made
    for stores in made:
        stores.index.close()


@pytest.mark.parametrize("error", REFUSALS, ids=errno.errorcode.get)
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
def test_a_fault_anywhere_refuses_the_archive_file_whole_and_a_retry_succeeds(
    tmp_path: Path, error: int, known: bool, stores_by_number: list[Stores]
) -> None:
    for failing in count():
        layout, disk = Layout(tmp_path / str(failing)), FaultyDisk()
        backend = local_backend(layout.root, disk=disk)
        stores_by_number.append(backend.stores)
        if known:
            upload(backend.stores, 1)
        if not survives_fault(backend, layout, disk, failing, error):
            break
    assert failing > (15 if known else 40)


def survives_fault(
    backend: Backend, layout: Layout, disk: FaultyDisk, failing: int, error: int
) -> bool:
    """Upload with this call failing; whether so many calls were made at all."""
    before = list(backend.stores.records.ids())
    disk.arm(failing, error)
    try:
        upload(backend.stores, 2)
    except BucketError as refusal:
        assert type(refusal) is REFUSALS[error], disk.calls[-1]
        assert list(backend.stores.records.ids()) == before
    has_failed = disk.has_failed
    disk.disarm()
    assert backend.staged() == [], disk.calls[failing:]
    assert_whole(backend.stores, layout)
    upload(backend.stores, 3)
    assert_whole(backend.stores, layout)
    assert len(list(backend.stores.records.ids())) >= len(before) + 1
    return has_failed


def test_a_disk_that_fails_for_good_keeps_nothing_of_an_archive_file(tmp_path: Path) -> None:
    disk = FaultyDisk()
    backend = local_backend(tmp_path, disk=disk)
    disk.fail_from_now_on(errno.EROFS)
    with pytest.raises(StorageUnavailable):
        upload(backend.stores, 1)
    disk.disarm()
    assert backend.staged() == []
    assert list(backend.stores.records.ids()) == []
    backend.stores.index.close()


@pytest.mark.parametrize("failing", ["open", "rmdir", "unlink"])
def test_a_fault_while_a_batch_is_discarded_leaves_nothing_staged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    backend = local_backend(tmp_path / "store")
    batch = backend.stores.blobs.batch()
    batch.add_bytes(SMALL, identity(SMALL))
    call, errors = getattr(os, failing), [OSError(errno.EIO, "input/output error")]

    def fails_once(*arguments: Any, **options: Any) -> Any:
        if errors:
            raise errors.pop()
        return call(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, failing, fails_once)
        batch.discard()
    assert errors == []
    assert backend.staged() == []
    backend.stores.index.close()


def test_what_could_not_be_removed_goes_with_the_next_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = local_backend(tmp_path / "store")
    batch = backend.stores.blobs.batch()
    batch.add_bytes(SMALL, identity(SMALL))

    def fails(*arguments: Any, **options: Any) -> Any:
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", fails)
        batch.discard()
    assert len(backend.staged()) > 0
    backend.stores.blobs.batch().discard()
    assert backend.staged() == []
    backend.stores.index.close()


def test_without_fsync_the_same_tree_comes_out(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    backend = local_backend(layout.root, disk=Disk(fsync=False))
    upload(backend.stores, 1)
    assert_whole(backend.stores, layout)
    backend.stores.index.close()


class TestReadingWhatWaits:
    def test_what_waits_can_be_read_and_later_the_blob(self, backend: Backend) -> None:
        stores = backend.stores
        batch = stores.blobs.batch()
        batch.add_bytes(SMALL, identity(SMALL))
        batch.add_staged(stage(stores.staging, LARGE), identity(LARGE))
        for _ in range(2):
            for content in (SMALL, LARGE):
                with batch.open(identity(content)) as reader:
                    assert reader.read() == content
            batch.keep()
        batch.discard()

    def test_what_it_says_of_news(self, backend: Backend) -> None:
        stores = backend.stores
        keep(stores, SMALL)
        batch = stores.blobs.batch()
        assert not batch.add_bytes(SMALL, identity(SMALL))
        assert batch.add_staged(stage(stores.staging, LARGE), identity(LARGE))
        assert not batch.add_bytes(LARGE, identity(LARGE))
        batch.discard()

    def test_what_it_has_not_is_not_found(self, backend: Backend) -> None:
        batch = backend.stores.blobs.batch()
        with pytest.raises(BlobNotFound):
            batch.open(identity(SMALL))
        batch.discard()
