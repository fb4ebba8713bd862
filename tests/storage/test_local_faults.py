"""Whichever call to the disk fails, an upload is refused whole or kept whole, and can be repeated.

The idea is SQLite's: fail the first call, then the second, until nothing fails any more
(https://www.sqlite.org/testing.html, 3.2).
"""

from __future__ import annotations

import errno
import os
import resource
import secrets
import shutil
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from httpbucket.config import Settings
from httpbucket.domain.errors import BlobNotFound, BucketError, StorageFull, StorageUnavailable
from httpbucket.domain.upload import Receipt
from httpbucket.services.ingest import Offer
from httpbucket.services.lookup import Lookup
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores, build
from tests.backends import Backend, local_backend
from tests.examples import NOW, identity, keep_staged, stage
from tests.faults import FaultyDisk
from tests.processes import in_child

CONTENT = b"what must not be half there " * 1000
REFUSALS = {
    errno.ENOSPC: StorageFull,
    errno.EDQUOT: StorageFull,
    errno.EIO: StorageUnavailable,
    errno.EROFS: StorageUnavailable,
    errno.EMFILE: StorageUnavailable,
    errno.EMLINK: StorageUnavailable,
    errno.EXDEV: StorageUnavailable,
    errno.ESTALE: StorageUnavailable,
}


def upload(stores: Stores, number: int, content: bytes = CONTENT) -> Receipt:
    """Upload as a client does; ``number`` makes the id."""
    ingest = build(
        Settings.from_environ({"DIGESTS": "md5,sha256"}),
        stores,
        media_type_of=lambda head: "text/plain",
        now=lambda: NOW,
        random_bits=lambda: number,
    ).ingest
    act = ingest.begin()
    try:
        incoming = act.new_file()
        for start in range(0, len(content), 10_000):
            incoming.write(content[start : start + 10_000])
        return ingest.keep(Offer(incoming, "results.xml"))
    finally:
        act.close()


def assert_whole(stores: Stores, layout: Layout) -> None:
    """Every name on disk shows all of its bytes; what is answered agrees with the uploads."""
    uploads = list(stores.records.ids())
    assert sorted(path.name for path in layout.archive.glob("*/*/*/*")) == sorted(map(str, uploads))
    for path in layout.blobs.glob("??/??/*"):
        assert path.name.split("~")[0] == identity(path.read_bytes()).hex
    for one in uploads:
        name = stores.records.load(one).name
        assert (layout.upload(one) / name).read_bytes() == CONTENT
    assert is_known(stores) is bool(uploads)


def is_known(stores: Stores) -> bool:
    try:
        Lookup(blobs=stores.blobs, index=stores.index).find([identity(CONTENT)])
    except BlobNotFound:
        return False
    return True


WAYS: dict[str, dict[str, Any]] = {
    "unnamed": {"unnamed": True},
    "named": {"unnamed": False},
    "past-cache": {"in_memory": False, "large": 0},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", REFUSALS, ids=errno.errorcode.get)
def test_a_fault_anywhere_refuses_the_upload_whole_and_a_retry_succeeds(
    tmp_path: Path, error: int, way: str
) -> None:
    for failing in count():
        layout, disk = Layout(tmp_path / str(failing)), FaultyDisk()
        backend = local_backend(layout.root, disk=disk, **WAYS[way])
        backend.stores.index.mark_complete(agreed_day="")
        try:
            if not survives_fault(backend, layout, disk, failing, error):
                break
        finally:
            backend.stores.index.close()
    assert failing > 15


def survives_fault(
    backend: Backend, layout: Layout, disk: FaultyDisk, failing: int, error: int
) -> bool:
    """Upload with this call failing; whether so many calls were made at all."""
    disk.arm(failing, error)
    try:
        upload(backend.stores, 1)
    except BucketError as refusal:
        assert type(refusal) is REFUSALS[error], disk.calls[-1]
        assert list(backend.stores.records.ids()) == []
    has_failed = disk.has_failed
    disk.disarm()
    assert backend.staged() == []
    assert_whole(backend.stores, layout)
    upload(backend.stores, 2)
    assert_whole(backend.stores, layout)
    assert is_known(backend.stores)
    return has_failed


def test_a_fault_in_a_second_upload_leaves_the_first_as_it_is(tmp_path: Path) -> None:
    layout, disk = Layout(tmp_path), FaultyDisk()
    backend = local_backend(layout.root, disk=disk)
    backend.stores.index.mark_complete(agreed_day="")
    first = upload(backend.stores, 0).record
    for failing in count(1):
        disk.arm(failing, errno.EIO)
        with suppress(StorageUnavailable):
            upload(backend.stores, failing)
        if not disk.has_failed:
            break
        assert next(backend.stores.records.ids()) == first.id
        assert_whole(backend.stores, layout)
    backend.stores.index.close()
    assert failing > 5


def test_a_disk_that_fails_for_good_acknowledges_nothing(tmp_path: Path) -> None:
    layout, disk = Layout(tmp_path), FaultyDisk()
    backend = local_backend(layout.root, disk=disk)
    disk.fail_from_now_on(errno.EROFS)
    with pytest.raises(StorageUnavailable):
        upload(backend.stores, 1)
    disk.disarm()
    assert backend.staged() == []
    assert list(backend.stores.records.ids()) == []
    backend.stores.index.close()


def test_a_staged_file_that_cannot_be_read_is_told_as_unavailable(root: Path) -> None:
    stores = local_backend(root, unnamed=False).stores
    staged = stage(stores.staging, CONTENT)
    (path,) = Layout(root).staging.glob("*/*")
    path.unlink()
    with pytest.raises(StorageUnavailable):
        staged.open()
    staged.discard()


def test_records_that_cannot_be_listed_are_told_as_unavailable(tmp_path: Path) -> None:
    """Not as none: the index would be called complete."""

    def listing() -> str:
        records = local_backend(tmp_path).stores.records
        highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
        fill_gaps_below(highest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, highest + 100))
        try:
            return f"listed {list(records.ids())}"
        except StorageUnavailable as error:
            return str(error)

    assert in_child(listing) == "The store cannot be used now: too many open files."


def test_running_out_of_descriptors_refuses_the_upload_whole(tmp_path: Path) -> None:
    outcomes = [
        in_child(partial(outcome_with_descriptors, tmp_path / str(spare), spare))
        for spare in range(12)
    ]
    assert outcomes[0] == "StorageUnavailable"
    assert outcomes[-1] == "kept"
    assert set(outcomes) == {"StorageUnavailable", "kept"}


def fill_gaps_below(highest: int) -> None:
    while (copy := os.dup(0)) < highest:
        pass
    os.close(copy)


def outcome_with_descriptors(root: Path, spare: int) -> str:
    """What an upload comes to when the process may open so many files more."""
    backend = local_backend(root)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    fill_gaps_below(highest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + spare, highest + 100))
    try:
        upload(backend.stores, 1)
        outcome = "kept"
    except BucketError as error:
        outcome = type(error).__name__
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 100, highest + 100))
    assert backend.staged() == []
    assert len(list(backend.stores.records.ids())) == (outcome == "kept")
    upload(backend.stores, 2)
    return outcome


def test_without_staging_no_descriptor_is_closed_twice(layout: Layout, root: Path) -> None:
    """The second time it would be somebody else's, the index's for example."""
    staging = local_backend(root, unnamed=False).stores.staging
    stage(staging, CONTENT).discard()
    shutil.rmtree(layout.staging)
    with pytest.raises(StorageUnavailable):
        stage(staging, CONTENT)
    with layout.marker.open() as others:
        with pytest.raises(StorageUnavailable):
            stage(staging, CONTENT)
        assert others.read() == "1\n"


def test_two_staged_files_of_one_name_are_never_mixed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = local_backend(root, unnamed=False).stores.staging
    first = stage(staging, b"first")
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(Layout(root).staging.glob("*/*")).name)
    with pytest.raises(StorageUnavailable):
        stage(staging, CONTENT)
    with first.open() as reader:
        assert reader.read() == b"first"
    first.discard()


class _Overtaken(Disk):
    """Between the rename of a wrong blob and the link of the right one, somebody links it."""

    def rename(
        self, source: Path | str, target: Path | str, *, directory: int | None = None
    ) -> None:
        super().rename(source, target, directory=directory)
        Path(source).write_bytes(CONTENT)


def test_two_may_replace_a_blob_of_the_wrong_size_at_once(layout: Layout, root: Path) -> None:
    stores = local_backend(root, disk=_Overtaken()).stores
    blob = layout.blob(identity(CONTENT))
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"half")
    assert keep_staged(stores, CONTENT) is False
    assert blob.read_bytes() == CONTENT
    assert (layout.quarantine / blob.name).read_bytes() == b"half"
