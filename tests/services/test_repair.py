"""Scrub and relink on a store on disk that something happened to."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from httpbucket.config import Settings
from httpbucket.domain.errors import BlobNotFound
from httpbucket.domain.upload import Record
from httpbucket.services.ingest import Offer
from httpbucket.services.pace import Pace
from httpbucket.services.product import Services
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores, build
from tests.backends import Backend, local_backend, memory_backend
from tests.builders import tar, tar_member
from tests.examples import identity
from tests.storage.test_links import CrampedDisk
from tests.uploading import upload_file

CONTENT = b"the right bytes"
MEMBER = b"of a member"


class Store:
    """A store with an upload of a file and one of a tree, both with replicas."""

    def __init__(self, backend: Backend) -> None:
        self.stores: Stores = backend.stores
        settings = Settings.from_environ({"REPLICATE_0": "user/${USERNAME}"})
        self.services: Services = build(settings, self.stores)
        self.services.reindex.catch_up()

    def upload(self, content: bytes, filename: str) -> Record:
        return upload_file(
            self.services.ingest, content, filename, headers={"username": "bob"}
        ).record

    def knows(self, content: bytes) -> bool:
        try:
            return bool(self.services.lookup.find([identity(content)]))
        except BlobNotFound:
            return False


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(local_backend(tmp_path / "store"))
    yield store
    store.stores.index.close()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


@pytest.fixture
def record(store: Store) -> Record:
    return store.upload(CONTENT, "a.txt")


@pytest.fixture
def tree(store: Store) -> Record:
    return store.upload(tar(tar_member("sub/m.txt", MEMBER), tar_member("e", b"")), "t.tar")


def names_of(layout: Layout, record: Record) -> list[Path]:
    """The files that an upload and its replicas have, save for the record and the manifest."""
    roots = [layout.upload(record.id), *(layout.root / one.path for one in record.replicas)]
    files = [path for root in roots for path in (root.rglob("*") if root.is_dir() else [root])]
    return [path for path in files if path.is_file() and not path.name.startswith(".")]


def spoil(path: Path) -> None:
    """Flip a bit of the file, as a disk does."""
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    path.chmod(0o444)


def copy_without_links(layout: Layout) -> None:
    """What ``cp -r`` makes of a store: every name has an inode of its own."""
    for path in layout.root.rglob("*"):
        if path.is_file() and not path.is_symlink() and "private" not in path.parts:
            copy = path.with_name("a copy")
            shutil.copy2(path, copy)
            copy.replace(path)


class TestScrub:
    def test_a_sound_store_is_found_sound(self, store: Store, record: Record, tree: Record) -> None:
        seen = store.services.scrub.run()
        assert (seen.rotten, seen.misdescribed, seen.healed, seen.is_whole) == ([], [], [], True)
        # The file, the tar, its member, the manifest, and the empty blob.
        assert seen.blobs == 5

    def test_a_rotten_blob_is_not_known_any_more_and_its_uploads_are_told(
        self, store: Store, layout: Layout, record: Record
    ) -> None:
        spoil(layout.blob(identity(CONTENT)))
        (rotten,) = store.services.scrub.run().rotten
        assert (rotten.blob, rotten.uploads) == (identity(CONTENT), (record.id,))
        assert not store.knows(CONTENT)
        assert [*store.stores.repair.quarantined()] == [identity(CONTENT)]
        assert store.services.scrub.run().rotten == []

    def test_the_right_bytes_heal_it_under_every_name(
        self, store: Store, layout: Layout, record: Record
    ) -> None:
        spoil(layout.blob(identity(CONTENT)))
        store.services.scrub.run()
        store.upload(CONTENT, "again.txt")
        assert store.knows(CONTENT)
        assert store.services.scrub.run().healed == [identity(CONTENT)]
        assert {path.read_bytes() for path in names_of(layout, record)} == {CONTENT}
        assert [*store.stores.repair.quarantined()] == []

    def test_a_copy_under_another_name_heals_it_at_once(
        self, store: Store, layout: Layout, tree: Record
    ) -> None:
        copy_without_links(layout)
        spoil(layout.blob(identity(MEMBER)))
        seen = store.services.scrub.run()
        assert ([one.blob for one in seen.rotten], seen.healed) == (
            [identity(MEMBER)],
            [identity(MEMBER)],
        )
        assert store.knows(MEMBER)

    def test_a_rotten_copy_of_a_full_file_is_found_and_healed(self, tmp_path: Path) -> None:
        store = Store(local_backend(tmp_path / "store", disk=CrampedDisk(4)))
        layout = Layout(tmp_path / "store")
        records = [store.upload(CONTENT, f"{one}.txt") for one in range(4)]
        spoil(layout.blob(identity(CONTENT)).with_name(f"{identity(CONTENT).hex}~1"))
        seen = store.services.scrub.run()
        assert [one.blob for one in seen.rotten] == seen.healed == [identity(CONTENT)]
        shown = {path.read_bytes() for one in records for path in names_of(layout, one)}
        assert shown == {CONTENT}
        assert store.services.scrub.run().rotten == []
        store.stores.index.close()

    def test_it_can_be_stopped(self, store: Store, record: Record) -> None:
        answers = iter([True, False])
        seen = store.services.scrub.run(may_go_on=lambda blob: next(answers))
        assert (seen.blobs, seen.is_whole) == (1, False)

    def test_each_blob_is_told_when_it_was_read(self, store: Store, record: Record) -> None:
        sizes: list[int] = []
        store.services.scrub.run(on_blob=lambda blob, size: sizes.append(size))
        assert sorted(sizes) == [0, len(CONTENT)]


class TestRelink:
    def test_names_in_a_folder_of_an_upload_are_looked_for_there(
        self, store: Store, layout: Layout
    ) -> None:
        content = tar(tar_member("m.txt", MEMBER))
        act = store.services.ingest.begin()
        incoming = act.new_file()
        incoming.write(content)
        record = store.services.ingest.keep(Offer(incoming, "t.tar", folder="reports/unit")).record
        act.close()
        before = sorted(layout.upload(record.id).rglob("*"))
        done = store.services.relink.run()
        assert (done.names, done.lost) == (0, 0)
        assert sorted(layout.upload(record.id).rglob("*")) == before

    def test_a_sound_store_stays_as_it_is(self, store: Store, record: Record, tree: Record) -> None:
        done = store.services.relink.run()
        assert (done.uploads, done.names, done.blobs, done.lost) == (2, 0, 0, 0)

    def test_a_copy_without_hardlinks_gets_them_again(
        self, store: Store, layout: Layout, record: Record, tree: Record
    ) -> None:
        copy_without_links(layout)
        done = store.services.relink.run()
        # a.txt and its replica; the manifest, the tar, the member and the member's replica.
        assert (done.names, done.blobs, done.lost) == (6, 0, 0)
        assert layout.blob(identity(CONTENT)).stat().st_nlink == 3
        assert layout.blob(identity(MEMBER)).stat().st_nlink == 3
        assert store.services.relink.run().names == 0

    def test_a_blob_that_is_gone_is_made_again_from_its_names(
        self, store: Store, layout: Layout, record: Record, tree: Record
    ) -> None:
        shutil.rmtree(layout.blobs)
        layout.blobs.mkdir()
        done = store.services.relink.run()
        assert (done.blobs, done.lost) == (4, 0)
        assert store.services.scrub.run().rotten == []
        assert store.knows(CONTENT) and store.knows(MEMBER)

    def test_a_name_with_other_bytes_gets_the_right_ones(
        self, store: Store, layout: Layout, record: Record
    ) -> None:
        copy_without_links(layout)
        path = layout.upload(record.id) / "a.txt"
        spoil(path)
        store.services.relink.run()
        assert path.read_bytes() == CONTENT

    def test_right_bytes_are_never_replaced_by_rotten_ones(
        self, store: Store, layout: Layout, record: Record
    ) -> None:
        copy_without_links(layout)
        spoil(layout.blob(identity(CONTENT)))
        done = store.services.relink.run()
        assert (done.names, done.lost) == (0, 2)
        assert {path.read_bytes() for path in names_of(layout, record)} == {CONTENT}

    def test_a_name_that_is_gone_is_made_again(
        self, store: Store, layout: Layout, tree: Record
    ) -> None:
        path = layout.upload(tree.id) / "t" / "sub" / "m.txt"
        path.unlink()
        assert store.services.relink.run().names == 1
        assert path.samefile(layout.blob(identity(MEMBER)))

    def test_a_symlink_in_the_way_is_not_followed(
        self, store: Store, layout: Layout, record: Record, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.write_bytes(b"not ours")
        path = layout.upload(record.id) / "a.txt"
        path.unlink()
        path.symlink_to(outside)
        store.services.relink.run()
        assert (path.is_symlink(), path.read_bytes()) == (False, CONTENT)
        assert outside.read_bytes() == b"not ours"

    def test_what_nothing_can_fill_is_told(
        self, store: Store, layout: Layout, record: Record
    ) -> None:
        for path in [layout.blob(identity(CONTENT)), *names_of(layout, record)]:
            path.unlink()
        done = store.services.relink.run()
        assert done.lost_paths == [f"{record.id.directory}/a.txt", record.replicas[0].path]


class TestInMemory:
    def test_what_is_put_aside_is_gone_until_it_is_kept_again(self) -> None:
        store = Store(memory_backend())
        record = store.upload(CONTENT, "a.txt")
        digest = identity(CONTENT)
        store.stores.repair.quarantine(digest)
        assert ([*store.stores.repair.quarantined()], store.knows(CONTENT)) == ([digest], False)
        store.upload(CONTENT, "b.txt")
        assert store.services.scrub.run().healed == [digest]
        assert store.services.relink.run().uploads == 2
        assert store.stores.records.load(record.id) == record


def paced(rate: int, sizes: list[int], clock: Callable[[], float]) -> list[float]:
    """How long each call had to wait."""
    waits: list[float] = []
    pace = Pace(rate, clock=clock, sleep=waits.append)
    for size in sizes:
        pace(size)
    return waits


def test_the_pace_waits_for_what_came_before() -> None:
    assert paced(100, [100, 100, 50], lambda: 0.0) == [1.0, 2.0]


def test_rest_is_made_up_for_within_bounds() -> None:
    times = iter([0.0, 10.0, 10.0, 10.0])
    assert paced(100, [100, 100, 100], lambda: next(times)) == [1.0]
