"""What somebody else put into the public directories of a local store leads nowhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from httpbucket.domain.errors import NameNotFound
from httpbucket.domain.public_path import PublicPath
from httpbucket.storage.base import Shelves
from tests.backends import local_backend

NUMBERED = "results.20261121.1432.0.xml"
LINK = "results.latest.xml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def shelves(root: Path) -> Iterator[Shelves]:
    stores = local_backend(root).stores
    (root / "replica" / "bob").mkdir()
    (root / "replica" / "bob" / NUMBERED).write_text("kept")
    (root / "private" / "secret").write_text("secret")
    yield stores.shelves
    stores.index.close()


def follow(shelves: Shelves, path: str) -> bytes:
    """What a reader of this path gets to see."""
    with shelves.open(shelves.resolve(PublicPath.parse(path))) as reader:
        return reader.read()


def listed(shelves: Shelves, path: str = "replica/bob") -> list[str]:
    return [entry.name for entry in shelves.page(PublicPath.parse(path), limit=10).entries]


def test_our_own_latest_is_followed(root: Path, shelves: Shelves) -> None:
    (root / "replica" / "bob" / LINK).symlink_to(NUMBERED)
    assert follow(shelves, f"replica/bob/{LINK}") == b"kept"
    assert listed(shelves) == [NUMBERED, LINK]


@pytest.mark.parametrize("name", [LINK, "other.latest.xml", "plain.xml"])
@pytest.mark.parametrize(
    "target",
    [
        "/etc/passwd",
        "../../private/secret",
        f"../bob/{NUMBERED}",
        f"./{NUMBERED}",
        "secret",
        ".",
        "..",
        LINK,
    ],
)
def test_any_other_link_leads_nowhere_and_is_not_listed(
    root: Path, shelves: Shelves, name: str, target: str
) -> None:
    (root / "replica" / "bob" / "secret").symlink_to("../../private/secret")
    (root / "replica" / "bob" / name).symlink_to(target)
    with pytest.raises(NameNotFound):
        follow(shelves, f"replica/bob/{name}")
    with pytest.raises(NameNotFound):
        follow(shelves, f"replica/bob/{name}/secret")
    assert listed(shelves) == [NUMBERED]


def test_a_latest_that_shows_another_link_leads_nowhere(root: Path, shelves: Shelves) -> None:
    second = "results.20261121.1432.1.xml"
    (root / "replica" / "bob" / second).symlink_to("/etc/passwd")
    (root / "replica" / "bob" / LINK).symlink_to(second)
    with pytest.raises(NameNotFound):
        follow(shelves, f"replica/bob/{LINK}")
    assert listed(shelves) == [NUMBERED]


def test_a_latest_whose_replica_is_gone_is_not_there(root: Path, shelves: Shelves) -> None:
    (root / "replica" / "bob" / LINK).symlink_to("results.20261121.1432.7.xml")
    with pytest.raises(NameNotFound):
        follow(shelves, f"replica/bob/{LINK}")
    assert listed(shelves) == [NUMBERED]


def test_a_linked_directory_is_not_entered(root: Path, shelves: Shelves) -> None:
    (root / "replica" / "eve").symlink_to("../private")
    (root / "archive" / "2026").symlink_to("../replica/bob")
    for path in ("replica/eve/secret", f"archive/2026/{NUMBERED}"):
        with pytest.raises(NameNotFound):
            follow(shelves, path)
    assert listed(shelves, "replica") == ["bob"]
    with pytest.raises(NameNotFound):
        listed(shelves, "replica/eve")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nothing")])
def test_what_is_neither_file_nor_directory_has_no_name_here(
    root: Path, shelves: Shelves, make: Callable[[Path], None]
) -> None:
    make(root / "replica" / "bob" / "strange")
    with pytest.raises(NameNotFound):
        follow(shelves, "replica/bob/strange")
    assert listed(shelves) == [NUMBERED]


def test_a_name_that_is_no_unicode_is_not_listed(root: Path, shelves: Shelves) -> None:
    Path(os.fsdecode(bytes(root / "replica" / "bob") + b"/caf\xe9.txt")).write_text("x")
    assert listed(shelves) == [NUMBERED]


def test_a_page_that_holds_only_what_is_not_shown_goes_on(root: Path, shelves: Shelves) -> None:
    (root / "replica" / "bob" / "a").symlink_to("/etc/passwd")
    first = shelves.page(PublicPath.parse("replica/bob"), limit=1)
    assert (first.entries, first.next_after) == ((), "a")


def test_no_descriptor_stays_open(root: Path, shelves: Shelves) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ("replica/nobody/x", "replica/bob/x/y", f"replica/bob/{NUMBERED}/x"):
        with pytest.raises(NameNotFound):
            follow(shelves, path)
    listed(shelves)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
