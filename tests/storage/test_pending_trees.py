"""The contract of `PendingTrees`: remembered by every process until they expire."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from httpbucket.domain.errors import Busy, PendingTreeNotFound
from httpbucket.domain.pending_tree import PendingTree, WantedFile
from httpbucket.storage.base import MOST_PENDING
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.examples import NOW, descriptor, identity, upload_id

ID = "0123456789abcdef" * 2

TREE = PendingTree(
    ID,
    "results",
    NOW,
    files=(WantedFile("a/ü b", identity(b"a")), WantedFile("caf\udce9", identity(b"b"))),
    received={identity(b"a"): descriptor(b"a")},
    headers={"username": "bob"},
)


def held(stores: Stores, id: str = ID) -> PendingTree:
    with stores.pending_trees.hold(id) as tree:
        return tree


def test_what_is_saved_is_held_later(stores: Stores) -> None:
    stores.pending_trees.save(TREE)
    assert held(stores) == TREE


def test_the_last_that_was_saved_stays(stores: Stores) -> None:
    published = PendingTree(ID, "results", NOW, upload=upload_id())
    stores.pending_trees.save(TREE)
    with stores.pending_trees.hold(ID):
        stores.pending_trees.save(published)
    assert held(stores) == published


@pytest.mark.parametrize("id", ["f" * 32, "", "..", "../../index.sqlite3", "F" * 32])
def test_what_was_never_saved_is_not_found(stores: Stores, id: str) -> None:
    with pytest.raises(PendingTreeNotFound):
        held(stores, id)


def test_those_that_expired_are_swept(stores: Stores) -> None:
    later = replace(TREE, id="f" * 32, expires=NOW + timedelta(hours=1))
    stores.pending_trees.save(TREE)
    stores.pending_trees.save(later)
    assert stores.pending_trees.sweep(NOW + timedelta(seconds=1)) == 1
    assert held(stores, later.id) == later
    with pytest.raises(PendingTreeNotFound):
        held(stores)


def test_nothing_is_there_to_sweep_at_first(stores: Stores) -> None:
    assert stores.pending_trees.sweep(NOW) == 0


def test_who_holds_it_is_alone(stores: Stores) -> None:
    stores.pending_trees.save(TREE)
    order = []

    def hold_too() -> None:
        with stores.pending_trees.hold(ID):
            order.append("second")

    other = threading.Thread(target=hold_too)
    with stores.pending_trees.hold(ID):
        other.start()
        other.join(0.1)
        order.append("first")
    other.join(10)
    assert order == ["first", "second"]


def test_of_very_many_the_one_that_was_saved_the_longest_ago_gives_way(stores: Stores) -> None:
    ids = [f"{number:032x}" for number in range(MOST_PENDING + 1)]
    for id in ids[:-1]:
        stores.pending_trees.save(replace(TREE, id=id))
    # The first is at work, the second was just asked again.
    stores.pending_trees.save(replace(TREE, id=ids[1]))
    with stores.pending_trees.hold(ids[0]):
        stores.pending_trees.save(replace(TREE, id=ids[-1]))
    assert [id for id in ids if not is_known(stores, id)] == [ids[2]]


def is_known(stores: Stores, id: str) -> bool:
    try:
        return held(stores, id).id == id
    except PendingTreeNotFound:
        return False


class Gone(Exception):
    pass


def go() -> None:
    raise Gone


class TestOnDisk:
    def test_who_waits_in_vain_is_told(self, local: Stores) -> None:
        local.pending_trees.save(TREE)
        with local.pending_trees.hold(ID), pytest.raises(Busy):
            local.pending_trees.hold(ID, seconds=0.05).__enter__()

    def test_who_waits_for_nothing_any_more_stops(self, local: Stores) -> None:
        local.pending_trees.save(TREE)
        with local.pending_trees.hold(ID), pytest.raises(Gone):
            local.pending_trees.hold(ID, go).__enter__()

    def test_one_that_is_held_is_not_swept(self, local: Stores) -> None:
        local.pending_trees.save(TREE)
        with local.pending_trees.hold(ID):
            assert local.pending_trees.sweep(NOW + timedelta(days=1)) == 0
        assert local.pending_trees.sweep(NOW + timedelta(days=1)) == 1

    def test_another_process_knows_it(self, local: Stores, root: Path) -> None:
        local.pending_trees.save(TREE)
        assert held(local_backend(root).stores) == TREE

    def test_it_is_private(self, local: Stores, layout: Layout) -> None:
        local.pending_trees.save(TREE)
        modes = [path.stat().st_mode & 0o777 for path in (layout.partial / "tree").rglob("*")]
        assert sorted(modes) == [0o600, 0o700]

    @pytest.mark.parametrize("content", [b"", b"not JSON", b'{"format": 2}', b"[]"])
    def test_what_cannot_be_read_is_not_found_and_swept_some_day(
        self, local: Stores, layout: Layout, content: bytes
    ) -> None:
        local.pending_trees.save(TREE)
        (layout.partial / "tree" / ID / "tree.jsonl").write_bytes(content)
        with pytest.raises(PendingTreeNotFound):
            held(local)
        assert local.pending_trees.sweep(NOW.replace(year=2099)) == 1
