"""Names in their order: read again when anything changed, and not otherwise."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from httpbucket.storage.local import names_in_order
from httpbucket.storage.local.names_in_order import DIRECTORIES, NamesInOrder

LATER = 10.0


class Reading:
    """How often directories were read."""

    def __init__(self) -> None:
        self.times = 0
        self._scandir = os.scandir

    def scandir(self, directory: int) -> Iterator[os.DirEntry[str]]:
        self.times += 1
        return self._scandir(directory)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    counted = Reading()
    monkeypatch.setattr(os, "scandir", counted.scandir)
    return counted


@pytest.fixture
def names() -> NamesInOrder:
    """To whom every directory seems settled."""
    return NamesInOrder(now=lambda: time.time() + LATER)


def made(directory: Path, *names: str) -> Path:
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).touch()
    return directory


def behind(names: NamesInOrder, after: str, directory: Path, limit: int = 2) -> list[str]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        return names.behind(after, descriptor, limit=limit)
    finally:
        os.close(descriptor)


def test_pages_follow_each_other_in_order(names: NamesInOrder, tmp_path: Path) -> None:
    made(tmp_path, "c", "a", "b")
    assert behind(names, "", tmp_path) == ["a", "b"]
    assert behind(names, "b", tmp_path) == ["c"]
    assert behind(names, "aa", tmp_path) == ["b", "c"]
    assert behind(names, "c", tmp_path) == []


def test_a_directory_that_did_not_change_is_read_once(
    names: NamesInOrder, tmp_path: Path, reading: Reading
) -> None:
    made(tmp_path, "a", "b", "c")
    for after in ("", "a", "b"):
        behind(names, after, tmp_path)
    assert reading.times == 1


@pytest.mark.parametrize("change", ["more", "less", "renamed"])
def test_every_change_of_a_name_is_seen(names: NamesInOrder, tmp_path: Path, change: str) -> None:
    made(tmp_path, "a", "b")
    os.utime(tmp_path, (1, 1))
    assert behind(names, "", tmp_path) == ["a", "b"]
    if change == "more":
        made(tmp_path, "aa")
    elif change == "less":
        (tmp_path / "a").unlink()
    else:
        (tmp_path / "a").rename(tmp_path / "aa")
    assert behind(names, "", tmp_path) == sorted(path.name for path in tmp_path.iterdir())[:2]


def test_what_changed_just_now_is_read_again(tmp_path: Path, reading: Reading) -> None:
    names = NamesInOrder()
    made(tmp_path, "a", "b")
    behind(names, "", tmp_path)
    behind(names, "", tmp_path)
    assert reading.times == 2


def test_very_many_names_are_not_remembered(
    names: NamesInOrder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reading: Reading
) -> None:
    monkeypatch.setattr(names_in_order, "MOST_NAMES", 2)
    made(tmp_path, "a", "b", "c")
    assert behind(names, "a", tmp_path) == ["b", "c"]
    assert behind(names, "b", tmp_path) == ["c"]
    assert reading.times == 4


def test_directories_that_nobody_asks_for_are_forgotten(
    names: NamesInOrder, tmp_path: Path, reading: Reading
) -> None:
    first, *others = [made(tmp_path / str(one), "a") for one in range(DIRECTORIES + 1)]
    for directory in (first, *others, first):
        behind(names, "", directory)
    assert reading.times == DIRECTORIES + 2
