"""Freeing a blob: never one that somebody holds, names, or is just about to name."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from httpbucket.domain.digest import EMPTY
from httpbucket.domain.errors import BlobNotFound, BucketError
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.examples import descriptor, identity, keep, keep_upload, kept_blobs, record_of, stage
from tests.faults import FaultyDisk

CONTENT = b"some content"
BLOB = identity(CONTENT)


class TestFreeing:
    def test_a_blob_that_nothing_names_is_freed(self, stores: Stores) -> None:
        keep(stores, CONTENT)
        assert stores.blobs.free(BLOB) == len(CONTENT)
        assert stores.blobs.size(BLOB) is None
        assert kept_blobs(stores.blobs) == []

    def test_freeing_may_be_repeated(self, stores: Stores) -> None:
        keep(stores, CONTENT)
        assert [stores.blobs.free(BLOB) for _ in range(2)] == [len(CONTENT), 0]

    def test_what_was_freed_can_be_kept_again(self, stores: Stores) -> None:
        keep(stores, CONTENT)
        stores.blobs.free(BLOB)
        keep(stores, CONTENT)
        with stores.blobs.open(BLOB) as reader:
            assert reader.read() == CONTENT

    @pytest.mark.parametrize("is_known", [False, True])
    def test_a_blob_stays_until_its_staged_file_is_discarded(
        self, stores: Stores, is_known: bool
    ) -> None:
        if is_known:
            keep(stores, CONTENT)
        staged = stage(stores.staging, CONTENT)
        stores.blobs.keep(staged, BLOB)
        assert stores.blobs.free(BLOB) is None
        assert stores.blobs.size(BLOB) == len(CONTENT)
        staged.discard()
        assert stores.blobs.free(BLOB) == len(CONTENT)

    @pytest.mark.parametrize("is_known", [False, True])
    def test_what_a_batch_took_stays_until_it_is_discarded(
        self, stores: Stores, is_known: bool
    ) -> None:
        if is_known:
            keep(stores, CONTENT)
        batch = stores.blobs.batch()
        batch.add_bytes(CONTENT, BLOB)
        batch.keep()
        assert stores.blobs.free(BLOB) is None
        batch.discard()
        assert stores.blobs.free(BLOB) == len(CONTENT)

    def test_what_became_a_blob_before_its_batch_was_kept_stays(self, stores: Stores) -> None:
        batch = stores.blobs.batch()
        batch.add_bytes(CONTENT, BLOB)
        keep(stores, CONTENT)
        batch.keep()
        assert stores.blobs.free(BLOB) is None
        batch.discard()

    def test_a_blob_that_is_held_stays(self, stores: Stores) -> None:
        keep(stores, CONTENT)
        with stores.blobs.hold(BLOB):
            assert stores.blobs.free(BLOB) is None
        assert stores.blobs.free(BLOB) == len(CONTENT)

    def test_what_is_not_there_cannot_be_held(self, stores: Stores) -> None:
        with pytest.raises(BlobNotFound), stores.blobs.hold(BLOB):
            pass

    def test_the_empty_blob_stays(self, stores: Stores) -> None:
        assert stores.blobs.free(EMPTY) is None
        assert stores.blobs.size(EMPTY) == 0

    def test_what_was_kept_a_moment_ago_stays_when_that_is_asked_for(self, stores: Stores) -> None:
        keep(stores, CONTENT)
        assert stores.blobs.free(BLOB, idle_since=time.time() - 60) is None
        assert stores.blobs.free(BLOB, idle_since=time.time() + 60) == len(CONTENT)

    def test_blobs_are_listed_in_order_from_any_of_them_on(self, stores: Stores) -> None:
        every = sorted([EMPTY, *(keep(stores, b"%d" % number).sha256 for number in range(40))])
        assert list(stores.blobs.digests()) == every
        assert list(stores.blobs.digests(after=every[17])) == every[18:]
        assert list(stores.blobs.digests(after=every[-1])) == []


class TestOnDisk:
    def test_what_an_upload_names_stays(self, local: Stores, layout: Layout) -> None:
        keep_upload(local, CONTENT)
        assert local.blobs.free(BLOB) is None
        assert layout.blob(BLOB).read_bytes() == CONTENT

    def test_a_name_that_an_operator_made_keeps_the_blob(
        self, local: Stores, layout: Layout, tmp_path: Path
    ) -> None:
        keep(local, CONTENT)
        os.link(layout.blob(BLOB), tmp_path / "mine")
        assert local.blobs.free(BLOB) is None
        (tmp_path / "mine").unlink()
        assert local.blobs.free(BLOB) == len(CONTENT)

    def test_siblings_that_nothing_names_go_and_the_blob_with_the_last(
        self, local: Stores, layout: Layout, tmp_path: Path
    ) -> None:
        keep(local, CONTENT)
        blob = layout.blob(BLOB)
        first, second = (blob.with_name(f"{blob.name}~{number}") for number in (1, 2))
        first.write_bytes(CONTENT)
        second.write_bytes(CONTENT)
        os.link(second, tmp_path / "named")
        assert local.blobs.free(BLOB) is None
        assert [path.exists() for path in (blob, first, second)] == [True, False, True]
        (tmp_path / "named").unlink()
        assert local.blobs.free(BLOB) == 2 * len(CONTENT)
        assert list(blob.parent.iterdir()) == []

    def test_what_a_dead_process_was_freeing_is_put_back(
        self, local: Stores, layout: Layout
    ) -> None:
        keep(local, CONTENT)
        layout.blob(BLOB).rename(layout.trash / BLOB.hex)
        assert local.blobs.recover() == 1
        assert layout.blob(BLOB).read_bytes() == CONTENT
        assert list(layout.trash.iterdir()) == []

    def test_what_was_kept_anew_meanwhile_is_not_replaced(
        self, local: Stores, layout: Layout
    ) -> None:
        keep(local, CONTENT)
        layout.blob(BLOB).rename(layout.trash / BLOB.hex)
        keep(local, CONTENT)
        inode = layout.blob(BLOB).stat().st_ino
        assert local.blobs.recover() == 1
        assert layout.blob(BLOB).stat().st_ino == inode
        assert [path.name for path in layout.blob(BLOB).parent.iterdir()] == [BLOB.hex]
        assert list(layout.trash.iterdir()) == []

    def test_an_old_file_that_is_still_in_use_comes_back_as_a_sibling(
        self, local: Stores, layout: Layout
    ) -> None:
        keep(local, CONTENT)
        with local.blobs.hold(BLOB):
            layout.blob(BLOB).rename(layout.trash / BLOB.hex)
            keep(local, CONTENT)
            local.blobs.recover()
            # Though nothing names the new file, who holds the old one relies on its name.
            assert local.blobs.free(BLOB) is None
        assert local.blobs.free(BLOB) == 2 * len(CONTENT)

    def test_an_upload_finds_its_content_in_the_trash_of_a_dead_process(
        self, local: Stores, layout: Layout
    ) -> None:
        staged = stage(local.staging, CONTENT)
        local.blobs.keep(staged, BLOB)
        layout.blob(BLOB).rename(layout.trash / BLOB.hex)
        local.records.publish(record_of(descriptor(CONTENT)))
        staged.discard()
        assert layout.blob(BLOB).stat().st_nlink == 2
        assert list(layout.trash.iterdir()) == []

    def test_who_pins_between_the_looks_is_seen(self, layout: Layout) -> None:
        disk = _BusyDisk(layout)
        stores = local_backend(layout.root, disk=disk).stores
        keep(stores, CONTENT)
        disk.is_busy = True
        assert stores.blobs.free(BLOB) is None
        assert layout.blob(BLOB).read_bytes() == CONTENT
        assert list(layout.trash.iterdir()) == []
        stores.index.close()

    def test_a_fault_anywhere_leaves_the_blob_there_or_to_be_put_back(self, tmp_path: Path) -> None:
        failing, has_failed = 0, True
        while has_failed:
            layout, disk = Layout(tmp_path / str(failing)), FaultyDisk()
            stores = local_backend(layout.root, disk=disk).stores
            keep_upload(stores, b"another")
            keep(stores, CONTENT)
            disk.arm(failing, errno.EIO)
            is_freed = False
            with suppress(BucketError):
                is_freed = stores.blobs.free(BLOB) is not None
            has_failed = disk.has_failed
            disk.disarm()
            stores.blobs.recover()
            assert layout.blob(BLOB).exists() is not is_freed
            assert has_failed is not is_freed
            assert list(layout.trash.iterdir()) == []
            failing += 1
            stores.index.close()
        assert failing > 2


class _BusyDisk(Disk):
    """Just before a blob is renamed, somebody links it."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self._layout = layout
        self.is_busy = False

    def rename(
        self, source: Path | str, target: Path | str, *, directory: int | None = None
    ) -> None:
        if self.is_busy and Path(source) == self._layout.blob(BLOB):
            os.link(source, self._layout.root / "name")
        super().rename(source, target, directory=directory)
