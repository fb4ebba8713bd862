"""A tree comes out the same whether its files were staged at their paths or are linked."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from httpbucket.config import Settings
from httpbucket.domain.upload import Record
from httpbucket.storage.local.batches import LocalBlobBatch
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.scribe import Scribes
from httpbucket.wiring import Stores, build
from tests.backends import Backend, local_backend
from tests.builders import tar, tar_member
from tests.examples import NOW, identity, keep
from tests.faults import FaultyDisk
from tests.processes import umask
from tests.uploading import upload_file

LARGE = bytes(range(256)) * 8192

PLAIN = (
    tar_member("report/", kind=b"5"),
    tar_member("report/index.html", b"<html>"),
    tar_member("report/deep/er/large", LARGE),
    tar_member("run.sh", b"#!/bin/sh\n"),
)

#: Members that make a tree which not every one of them is in at its own path.
ODD = {
    "a content twice": [tar_member("again", b"<html>"), tar_member("deep/again", LARGE)],
    "an empty file": [tar_member("empty")],
    "an empty directory": [tar_member("void/", kind=b"5")],
    "a hardlink": [tar_member("report/link", kind=b"1", linkname="run.sh")],
    "a hardlink to itself": [tar_member("run.sh", kind=b"1", linkname="run.sh")],
    "a symlink": [tar_member("link", kind=b"2", linkname="report/index.html")],
    "a symlink to nothing": [tar_member("link", kind=b"2", linkname="nowhere")],
    "a path twice": [tar_member("run.sh", b"the last one")],
    "a path and a content twice": [
        tar_member("run.sh", b"<html>"),
        tar_member("x", b"#!/bin/sh\n"),
    ],
    "a link in place of a file": [tar_member("run.sh", kind=b"2", linkname="report/index.html")],
    "a file in place of a link": [
        tar_member("x", kind=b"2", linkname="run.sh"),
        tar_member("x", b"a file"),
    ],
    "a directory in place of a file": [tar_member("run.sh/", kind=b"5")],
    "a file that is also a directory": [tar_member("run.sh/below", b"below a file")],
    "a directory that is also a file": [tar_member("report", b"above a file")],
    "a device": [tar_member("null", kind=b"3")],
    "a path that is long": [tar_member("/".join(["n" * 90]), b"long")],
}


@pytest.fixture(params=[None, Scribes(least=1)], ids=["alone", "with a scribe"])
def local(request: pytest.FixtureRequest, root: Path) -> Iterator[Stores]:
    """The local backend, without and with a process beside this one."""
    backend = local_backend(root, scribes=request.param)
    yield backend.stores
    backend.stores.index.close()
    assert backend.staged() == []


def upload(stores: Stores, archive: bytes, number: int = 1, name: str = "results.tar") -> Record:
    """Upload the archive file as a client does; ``number`` makes the id."""
    ingest = build(
        Settings.from_environ({"DIGESTS": "sha256"}),
        stores,
        now=lambda: NOW,
        random_bits=lambda: number,
    ).ingest
    return upload_file(ingest, archive, name).record


def on_disk(tree: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of everything below; directories have none."""
    return {
        str(path.relative_to(tree)): (
            stat.S_IMODE(path.lstat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in tree.rglob("*")
    }


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def any_umask(request: pytest.FixtureRequest) -> Iterator[None]:
    with umask(request.param):
        yield


def tree_of(layout: Layout, record: Record) -> dict[str, tuple[int, bytes]]:
    assert record.tree is not None
    return on_disk(layout.upload(record.id) / record.tree.name)


@pytest.mark.parametrize("members", ODD.values(), ids=ODD)
def test_the_tree_is_what_the_manifest_says(
    local: Stores, layout: Layout, members: list[bytes]
) -> None:
    archive = tar(*PLAIN, *members)
    first = upload(local, archive)
    # The second is linked from the manifest, file by file.
    assert tree_of(layout, first) == tree_of(layout, upload(local, archive, 2))


@pytest.mark.usefixtures("any_umask")
def test_files_and_directories_have_the_modes_of_the_layout(local: Stores, layout: Layout) -> None:
    tree = tree_of(layout, upload(local, tar(*PLAIN)))
    assert {path: mode for path, (mode, _) in tree.items()} == {
        "report": 0o755,
        "report/deep": 0o755,
        "report/deep/er": 0o755,
        "report/deep/er/large": 0o444,
        "report/index.html": 0o444,
        "run.sh": 0o444,
    }


@pytest.mark.usefixtures("any_umask")
def test_directories_of_blobs_have_the_mode_of_the_layout(local: Stores, layout: Layout) -> None:
    upload(local, tar(*PLAIN))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in layout.blobs.rglob("??")}
    assert modes == {0o755}


def test_a_directory_that_hands_its_group_on_makes_no_difference(
    local: Stores, layout: Layout
) -> None:
    for directory in (layout.staging, layout.blobs):
        directory.chmod(stat.S_IMODE(directory.stat().st_mode) | stat.S_ISGID)
    tree = tree_of(layout, upload(local, tar(*PLAIN)))
    assert {mode for mode, _ in tree.values()} == {0o755, 0o444}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in layout.blobs.rglob("??")}
    assert modes == {0o755}


def test_blobs_and_the_tree_are_the_same_files(local: Stores, layout: Layout) -> None:
    record = upload(local, tar(*PLAIN))
    tree = layout.upload(record.id) / "results"
    for path, content in (("run.sh", b"#!/bin/sh\n"), ("report/deep/er/large", LARGE)):
        blob = layout.blob(identity(content))
        assert (tree / path).samefile(blob)
        assert blob.stat().st_nlink == 2


def test_a_new_file_costs_one_link(tmp_path: Path) -> None:
    calls = []
    for count in (0, 20):
        disk = FaultyDisk()
        backend = local_backend(tmp_path / str(count), disk=disk)
        disk.arm(-1, 0)
        upload(backend.stores, tar(*(tar_member(f"d/{n}", b"%d" % n) for n in range(1, count + 1))))
        calls.append(disk.calls)
        backend.stores.index.close()
    without, with_files = (each.count("link") for each in calls)
    # Two that find no directory to link to, or one that is there where it was to be made.
    assert 20 <= with_files - without <= 25


def test_what_is_known_is_linked_into_the_tree(local: Stores, layout: Layout) -> None:
    keep(local, b"#!/bin/sh\n")
    record = upload(local, tar(*PLAIN))
    assert set(tree_of(layout, record)) >= {"run.sh", "report/index.html"}
    assert layout.blob(identity(b"#!/bin/sh\n")).stat().st_nlink == 2


def test_what_became_a_blob_meanwhile_is_what_the_tree_has(local: Stores, layout: Layout) -> None:
    batch = local.blobs.batch()
    batch.add_bytes(b"one", identity(b"one"), "a/one")
    batch.add_bytes(b"two", identity(b"two"), "a/two")
    batch.settle([])
    keep(local, b"one")
    batch.keep()
    assert isinstance(batch, LocalBlobBatch)
    assert batch.move_tree(layout.staging / "moved") == {"a/one"}
    assert on_disk(layout.staging / "moved") == {"a": (0o755, b""), "a/two": (0o444, b"two")}
    batch.discard()
    (layout.staging / "moved/a/two").unlink()
    (layout.staging / "moved/a").rmdir()
    (layout.staging / "moved").rmdir()


def test_the_tree_holds_its_files_where_the_batch_did(local: Stores, layout: Layout) -> None:
    batch = local.blobs.batch()
    batch.add_bytes(b"one", identity(b"one"), "one")
    batch.settle([])
    batch.keep()
    assert local.blobs.free(identity(b"one")) is None
    assert isinstance(batch, LocalBlobBatch)
    batch.move_tree(layout.staging / "moved")
    batch.discard()
    assert local.blobs.free(identity(b"one")) is None
    (layout.staging / "moved/one").unlink()
    (layout.staging / "moved").rmdir()
    assert local.blobs.free(identity(b"one")) == 3


@pytest.mark.parametrize("lacking", [None, "never settled"])
def test_a_tree_that_is_another_one_is_not_published(
    local: Stores, layout: Layout, lacking: str | None
) -> None:
    batch = local.blobs.batch()
    batch.add_bytes(b"one", identity(b"one"), "one")
    if lacking is None:
        batch.settle(None)
    batch.keep()
    assert isinstance(batch, LocalBlobBatch)
    assert batch.move_tree(layout.staging / "moved") is None
    batch.discard()


def test_what_is_staged_at_a_path_can_be_read_and_forgotten(local: Stores) -> None:
    batch = local.blobs.batch()
    batch.add_bytes(b"one", identity(b"one"), "a/one")
    with batch.open(identity(b"one")) as reader:
        assert reader.read() == b"one"
    batch.forget(identity(b"one"))
    batch.add_bytes(b"another", identity(b"another"), "a/one")
    batch.keep()
    batch.discard()
    assert local.blobs.size(identity(b"one")) is None
    assert local.blobs.size(identity(b"another")) == 7


def test_a_path_that_the_system_does_not_take_is_no_hindrance(local: Stores) -> None:
    batch = local.blobs.batch()
    batch.add_bytes(b"one", identity(b"one"), "/".join(["long" * 50] * 30))
    batch.keep()
    batch.discard()
    assert local.blobs.size(identity(b"one")) == 3


def test_what_did_not_change_since_a_tree_was_begun_is_known_to_be_named(
    local: Stores, layout: Layout
) -> None:
    upload(local, tar(*PLAIN))
    batch = local.blobs.batch()
    batch.add_bytes(b"one", identity(b"one"), "one")
    assert local.blobs.is_named(identity(b"<html>")) is None
    (trees,) = layout.staging.glob("*/batch-*/trees-*")
    trees.rename(trees.with_name(f"trees-{int(time.time()) + 60}"))
    assert local.blobs.is_named(identity(b"<html>")) is True
    batch.discard()


def test_while_a_tree_is_on_its_way_nobody_claims_to_know_what_is_named(backend: Backend) -> None:
    batch = backend.stores.blobs.batch()
    batch.add_bytes(b"one", identity(b"one"), "one")
    batch.keep()
    assert not backend.stores.blobs.is_named(identity(b"one"))
    batch.discard()
    assert not backend.stores.blobs.is_named(identity(b"one"))
