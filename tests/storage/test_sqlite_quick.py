"""An index that answers at once or says that it cannot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import IndexNotReady
from httpbucket.storage.sqlite_index import SqliteIndex
from httpbucket.storage.sqlite_quick import QuickIndex
from tests.examples import descriptor, record_of

ONE, OTHER = descriptor(b"one"), descriptor(b"other")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite3"


@pytest.fixture
def index(path: Path) -> Iterator[SqliteIndex]:
    with closing(SqliteIndex(path)) as index:
        index.add(record_of(ONE), None)
        yield index


@pytest.fixture
def quick(path: Path) -> Iterator[QuickIndex]:
    with closing(QuickIndex(path)) as quick:
        yield quick


def test_it_answers_what_the_other_knows(index: SqliteIndex, quick: QuickIndex) -> None:
    for digest in ONE.all_digests():
        assert quick.find(digest) == (ONE.sha256,)
    assert quick.find(OTHER.sha256) == ()
    assert not quick.is_complete()
    index.mark_complete(agreed_day="")
    index.add(record_of(OTHER, number=1), None)
    assert quick.find(OTHER.sha256) == (OTHER.sha256,)
    assert quick.is_complete()


def test_a_writer_is_not_waited_for(index: SqliteIndex, quick: QuickIndex, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert quick.find(ONE.sha256) == (ONE.sha256,)


def test_a_file_that_is_locked_as_a_whole_is_not_waited_for(
    index: SqliteIndex, quick: QuickIndex, path: Path
) -> None:
    index.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as owner:
        owner.execute("PRAGMA locking_mode = EXCLUSIVE")
        owner.execute("BEGIN EXCLUSIVE")
        with pytest.raises(IndexNotReady, match="locked"):
            quick.find(ONE.sha256)
    assert quick.find(ONE.sha256) == (ONE.sha256,)


def test_it_makes_no_file(quick: QuickIndex, path: Path) -> None:
    with pytest.raises(IndexNotReady):
        quick.find(ONE.sha256)
    assert not path.exists()


def test_it_writes_nothing(index: SqliteIndex, quick: QuickIndex) -> None:
    with pytest.raises(IndexNotReady):
        quick.add(record_of(OTHER), None)


def test_it_leaves_a_file_that_was_moved_aside(
    index: SqliteIndex, quick: QuickIndex, path: Path
) -> None:
    assert quick.find(ONE.sha256) == (ONE.sha256,)
    index.close()
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        if path.with_name(name).exists():
            path.with_name(name).rename(path.with_name(f"aside-{name}"))
    with pytest.raises(IndexNotReady):
        quick.find(ONE.sha256)
    with closing(SqliteIndex(path)) as another:
        another.add(record_of(OTHER), None)
        assert quick.find(ONE.sha256) == ()
        assert quick.find(OTHER.sha256) == (OTHER.sha256,)


@pytest.mark.parametrize("content", [b"", b"no database" * 100])
def test_a_file_that_is_no_index_is_not_ready(
    quick: QuickIndex, path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    with pytest.raises(IndexNotReady):
        quick.find(ONE.sha256)
    assert path.read_bytes() == content


UNTIL = datetime(2026, 11, 22, tzinfo=UTC)


def test_one_look_tells_what_stays(index: SqliteIndex, quick: QuickIndex) -> None:
    index.mark_complete(agreed_day="")
    for digest in ONE.all_digests():
        assert quick.find_lasting(digest, UNTIL) == [ONE.sha256.value]
    for digest in OTHER.all_digests():
        assert quick.find_lasting(digest, UNTIL) == ()


def test_one_look_at_an_incomplete_index_tells_nothing(
    index: SqliteIndex, quick: QuickIndex
) -> None:
    assert quick.find_lasting(ONE.sha256, UNTIL) is None
    index.mark_complete(agreed_day="")
    index.database.note_gap()
    assert quick.find_lasting(ONE.sha256, UNTIL) is None
    assert quick.find_lasting(OTHER.sha256, UNTIL) is None


def test_what_may_need_a_lease_takes_more_than_one_look(
    index: SqliteIndex, quick: QuickIndex
) -> None:
    index.mark_complete(agreed_day="")
    expiring = replace(record_of(OTHER, number=1), expires=UNTIL - timedelta(seconds=1))
    index.add(expiring, None)
    assert quick.find_lasting(ONE.sha256, UNTIL) is None
    assert quick.find_lasting(ONE.sha256, UNTIL - timedelta(seconds=1)) == [ONE.sha256.value]
    assert quick.find_lasting(descriptor(b"third").sha256, UNTIL) == ()


def test_one_look_tells_all_blobs_of_a_digest(index: SqliteIndex, quick: QuickIndex) -> None:
    index.mark_complete(agreed_day="")
    alike = [
        replace(one, digests={**one.digests, "md5": "0" * 32})
        for one in (descriptor(b"first"), descriptor(b"second"))
    ]
    for number, one in enumerate(alike, start=1):
        index.add(record_of(one, number=number), None)
    found = quick.find_lasting(Digest("md5", "0" * 32), UNTIL)
    assert set(found or ()) == {one.sha256.value for one in alike}
