"""Names that were looked at, and are looked at again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from httpbucket.storage.local import sightings
from httpbucket.storage.local.settled import SETTLED_SECONDS
from httpbucket.storage.local.sightings import LocalSighting, sight

CONTENT = b"0123456789"


@pytest.fixture
def names(tmp_path: Path) -> list[Path]:
    """A link, a record, a file."""
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    record = tmp_path / "record"
    record.write_text("{}")
    link = tmp_path / "latest"
    link.symlink_to("somewhere")
    return [link, record, file]


@pytest.fixture
def seen(names: list[Path]) -> LocalSighting:
    seen = sight([str(name) for name in names])
    if seen is None:
        pytest.skip("no RWF_NOWAIT on this file system")
    return seen


def test_what_is_as_it_was_is_read(seen: LocalSighting) -> None:
    assert seen.is_unchanged()
    assert seen.read(0, 10) == CONTENT
    assert seen.read(2, 5) == b"234"


def test_more_than_there_is_is_not_read(seen: LocalSighting) -> None:
    assert seen.read(5, 11) is None


def replace_link(link: Path, record: Path, file: Path) -> None:
    fresh = link.with_name("fresh")
    fresh.symlink_to("somewhere")
    fresh.replace(link)


def replace_record(link: Path, record: Path, file: Path) -> None:
    fresh = record.with_name("fresh")
    fresh.write_text("{}")
    fresh.replace(record)


def remove_record(link: Path, record: Path, file: Path) -> None:
    record.unlink()


def remove(link: Path, record: Path, file: Path) -> None:
    file.unlink()


def replace(link: Path, record: Path, file: Path) -> None:
    fresh = file.with_name("fresh")
    fresh.write_bytes(CONTENT)
    status = file.stat()
    os.utime(fresh, ns=(status.st_atime_ns, status.st_mtime_ns))
    fresh.replace(file)


def name_again(link: Path, record: Path, file: Path) -> None:
    os.link(file, file.with_name("another"))


def write(link: Path, record: Path, file: Path) -> None:
    status = file.stat()
    file.write_bytes(CONTENT[::-1])
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def put_a_link_in_its_place(link: Path, record: Path, file: Path) -> None:
    file.rename(file.with_name("moved"))
    file.symlink_to("moved")


def put_a_fifo_in_its_place(link: Path, record: Path, file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    "change",
    [
        *(replace_link, replace_record, remove_record, remove, replace, name_again, write),
        *(put_a_link_in_its_place, put_a_fifo_in_its_place),
    ],
)
def test_whatever_changes_is_seen(
    seen: LocalSighting, names: list[Path], change: Callable[[Path, Path, Path], None]
) -> None:
    # The clock of a file system may be as coarse as that of the system.
    while not os.stat(names[0].parent).st_ctime < _clock(names[0].parent):  # noqa: PTH116
        pass
    change(*names)
    assert not seen.is_unchanged()
    assert seen.read(0, 10) is None


def _clock(directory: Path) -> float:
    probe = directory.parent / "clock"
    probe.touch()
    return probe.stat().st_ctime


def test_what_changed_lately_has_not_settled(names: list[Path], seen: LocalSighting) -> None:
    changed = max(name.lstat().st_ctime for name in names)
    assert seen.had_settled(before=changed + SETTLED_SECONDS)
    assert not seen.had_settled(before=changed + SETTLED_SECONDS - 0.1)


def test_what_is_no_file_is_not_seen(tmp_path: Path, names: list[Path]) -> None:
    link, _, file = map(str, names)
    assert sight([str(tmp_path)]) is None
    assert sight([file, link]) is None
    assert sight([str(tmp_path / "nothing")]) is None


def test_nothing_is_seen_where_reading_may_wait(
    names: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sightings, "_AT_ONCE", None)
    assert sight([str(names[-1])]) is None


def test_what_is_not_in_memory_is_not_waited_for(
    seen: LocalSighting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(*_: object) -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "preadv", wait)
    assert seen.read(0, 10) is None
    assert seen.is_unchanged()
