"""The contract of `Shelves`, on every backend."""

from __future__ import annotations

from dataclasses import replace

import pytest

from httpbucket.domain.errors import NameNotFound
from httpbucket.domain.manifest import ManifestEntry
from httpbucket.domain.public_path import PublicPath
from httpbucket.domain.upload import NamedBlob, Record, Replica, Tree
from httpbucket.storage.base import ShelfPage
from httpbucket.wiring import Stores
from tests.examples import keep, keep_manifest, record_of, tree_of

SHOWN = b"<results/>"
NUMBERED = "replica/user/bob/results.20261121.1432.0"


def keep_tree(stores: Stores, members: dict[str, bytes | None]) -> Tree:
    entries = [
        ManifestEntry(path, None if content is None else keep(stores, content))
        for path, content in sorted(members.items())
    ]
    tree, manifest = tree_of(b"archive", entries)
    keep_manifest(stores, tree, manifest)
    return tree


@pytest.fixture
def record(stores: Stores) -> Record:
    """An upload with a tree, of which there is a replica."""
    members = {"a.txt": SHOWN, "sub/b.txt": b"b", "sub/deep/c.txt": b"", "empty": None}
    tree = keep_tree(stores, members)
    record = replace(
        record_of(keep(stores, b"archive"), name="results.tgz"),
        decompressed=NamedBlob("results.tar", keep(stores, b"tar")),
        tree=tree,
        replicas=(Replica(NUMBERED, "tree", ("results.latest",)),),
    )
    with stores.replicas.hold(["replica/user/bob"]) as held:
        held.announce(record)
        stores.records.publish(record)
        held.make(record)
    return record


@pytest.fixture
def upload(record: Record) -> PublicPath:
    return PublicPath.parse(record.id.directory)


def names(page: ShelfPage) -> list[str]:
    return [entry.name for entry in page.entries]


def read(stores: Stores, path: PublicPath) -> bytes:
    with stores.shelves.open(path) as reader:
        return reader.read()


class TestLooking:
    def test_a_file_is_seen_with_its_size(self, stores: Stores, upload: PublicPath) -> None:
        entry = stores.shelves.look(upload / "results" / "a.txt")
        assert (entry.name, entry.is_directory, entry.size, entry.target) == (
            *("a.txt", False, len(SHOWN)),
            None,
        )

    def test_a_directory_is_seen_as_one(self, stores: Stores, upload: PublicPath) -> None:
        entry = stores.shelves.look(upload / "results" / "sub")
        assert (entry.name, entry.is_directory, entry.size) == ("sub", True, 0)

    @pytest.mark.parametrize("shelf", ["archive", "replica"])
    def test_both_shelves_are_there_from_the_start(self, stores: Stores, shelf: str) -> None:
        assert stores.shelves.look(PublicPath.parse(shelf)).is_directory
        assert stores.shelves.page(PublicPath.parse(shelf), limit=9) == ShelfPage((), None)

    def test_a_file_is_read(self, stores: Stores, upload: PublicPath) -> None:
        assert read(stores, upload / "results" / "a.txt") == SHOWN
        assert read(stores, upload / "results" / "sub" / "deep" / "c.txt") == b""

    def test_a_reader_is_seekable(self, stores: Stores, upload: PublicPath) -> None:
        with stores.shelves.open(upload / "results.tgz") as reader:
            reader.seek(4)
            assert reader.read() == b"ive"

    @pytest.mark.parametrize("below", ["nothing", "results/a.txt/x", "results/nothing/x"])
    def test_what_is_not_there_is_told(
        self, stores: Stores, upload: PublicPath, below: str
    ) -> None:
        path = PublicPath.parse(f"{upload}/{below}")
        for ask in (stores.shelves.look, stores.shelves.open):
            with pytest.raises(NameNotFound):
                ask(path)
        with pytest.raises(NameNotFound):
            stores.shelves.page(path, limit=1)

    def test_a_directory_cannot_be_read_nor_a_file_listed(
        self, stores: Stores, upload: PublicPath
    ) -> None:
        with pytest.raises(NameNotFound):
            stores.shelves.open(upload / "results")
        with pytest.raises(NameNotFound):
            stores.shelves.page(upload / "results.tgz", limit=1)


class TestPages:
    def test_entries_come_in_order_of_name(self, stores: Stores, upload: PublicPath) -> None:
        page = stores.shelves.page(upload / "results", limit=10)
        assert names(page) == ["a.txt", "empty", "sub"]
        assert page.next_after is None

    def test_our_own_names_in_an_upload_are_not_listed(
        self, stores: Stores, upload: PublicPath
    ) -> None:
        page = stores.shelves.page(upload, limit=10)
        assert names(page) == ["results", "results.tar", "results.tgz"]

    def test_names_that_begin_with_a_dot_inside_a_tree_are_listed(self, stores: Stores) -> None:
        tree = keep_tree(stores, {".upload.json": b"theirs"})
        record = replace(record_of(keep(stores, b"archive"), number=5), tree=tree)
        stores.records.publish(record)
        path = PublicPath.parse(record.id.directory) / "results"
        assert names(stores.shelves.page(path, limit=10)) == [".upload.json"]

    @pytest.mark.parametrize("limit", [1, 2, 3])
    def test_pages_together_are_the_whole(
        self, stores: Stores, upload: PublicPath, limit: int
    ) -> None:
        found, after, pages = [], "", 0
        while True:
            page = stores.shelves.page(upload / "results", after=after, limit=limit)
            found += names(page)
            pages += 1
            if page.next_after is None:
                break
            after = page.next_after
        assert found == ["a.txt", "empty", "sub"]
        assert pages == -(-3 // limit)

    def test_a_page_goes_on_behind_a_name_that_is_not_there(
        self, stores: Stores, upload: PublicPath
    ) -> None:
        page = stores.shelves.page(upload / "results", after="b", limit=10)
        assert names(page) == ["empty", "sub"]


class TestLatest:
    @pytest.mark.usefixtures("record")
    def test_a_listing_tells_what_latest_shows(self, stores: Stores) -> None:
        page = stores.shelves.page(PublicPath.parse("replica/user/bob"), limit=10)
        shown = [(entry.name, entry.is_directory, entry.target) for entry in page.entries]
        assert shown == [
            ("results.20261121.1432.0", True, None),
            ("results.latest", True, "results.20261121.1432.0"),
        ]

    @pytest.mark.usefixtures("record")
    def test_latest_resolves_to_the_replica_it_shows(self, stores: Stores) -> None:
        path = PublicPath.parse("replica/user/bob/results.latest/sub/b.txt")
        resolved = stores.shelves.resolve(path)
        assert str(resolved) == f"{NUMBERED}/sub/b.txt"
        assert read(stores, resolved) == b"b"

    @pytest.mark.usefixtures("record")
    def test_nothing_but_resolve_follows_a_link(self, stores: Stores) -> None:
        path = PublicPath.parse("replica/user/bob/results.latest")
        with pytest.raises(NameNotFound):
            stores.shelves.look(path)
        with pytest.raises(NameNotFound):
            stores.shelves.open(path / "a.txt")

    def test_a_path_without_links_resolves_to_itself(
        self, stores: Stores, upload: PublicPath
    ) -> None:
        for path in (upload, upload / "results" / "nothing.latest"):
            assert stores.shelves.resolve(path) == path
