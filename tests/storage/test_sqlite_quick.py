"""An index that answers at once or says that it cannot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import IndexNotReady
from httpbucket.storage.base import FoundMany
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


def lasting(index: SqliteIndex, *digests: Digest, until: datetime = UNTIL) -> list[Any]:
    found = index.find_lasting(digests, until)
    return [None if blobs is None else [*blobs] for blobs in found]


def test_one_look_tells_what_stays(index: SqliteIndex, quick: QuickIndex) -> None:
    index.mark_complete(agreed_day="")
    known, unknown = [*ONE.all_digests()], [*OTHER.all_digests()]
    for one in (index, quick):
        found = lasting(one, *known, *unknown)
        assert found == [[ONE.sha256.value]] * len(known) + [[]] * len(unknown)


def test_one_look_at_an_incomplete_index_tells_nothing(
    index: SqliteIndex, quick: QuickIndex
) -> None:
    assert lasting(quick, ONE.sha256) == [None]
    index.mark_complete(agreed_day="")
    index.database.note_gap()
    assert lasting(quick, ONE.sha256, OTHER.sha256) == [None, None]


def test_what_may_need_a_lease_takes_more_than_one_look(
    index: SqliteIndex, quick: QuickIndex
) -> None:
    index.mark_complete(agreed_day="")
    expiring = replace(record_of(OTHER, number=1), expires=UNTIL - timedelta(seconds=1))
    index.add(expiring, None)
    third = descriptor(b"third").sha256
    assert lasting(quick, ONE.sha256, third) == [None, []]
    before = UNTIL - timedelta(seconds=1)
    assert lasting(quick, ONE.sha256, until=before) == [[ONE.sha256.value]]


def test_one_look_tells_all_blobs_of_a_digest(index: SqliteIndex, quick: QuickIndex) -> None:
    index.mark_complete(agreed_day="")
    alike = [
        replace(one, digests={**one.digests, "md5": "0" * 32})
        for one in (descriptor(b"first"), descriptor(b"second"))
    ]
    for number, one in enumerate(alike, start=1):
        index.add(record_of(one, number=number), None)
    (found,) = lasting(quick, Digest("md5", "0" * 32))
    assert set(found) == {one.sha256.value for one in alike}


class TestManyInOneLook:
    @pytest.mark.parametrize("algorithm", ["sha256", "md5"])
    def test_those_that_are_known_are_found(self, index: SqliteIndex, algorithm: str) -> None:
        index.mark_complete(agreed_day="")
        known, unknown = (bytes.fromhex(one.digests[algorithm]) for one in (ONE, OTHER))
        found = index.find_many_lasting(algorithm, [unknown, known, known], UNTIL)
        assert found is not None
        pairs = set(zip(found.values, found.blobs, strict=True))
        assert pairs == {(known, ONE.sha256.value)}
        assert index.find_many_lasting(algorithm, [], UNTIL) == FoundMany([], [])

    def test_an_incomplete_index_tells_nothing(self, index: SqliteIndex) -> None:
        asked = [ONE.sha256.value]
        assert index.find_many_lasting("sha256", asked, UNTIL) is None
        index.mark_complete(agreed_day="")
        index.database.note_gap()
        assert index.find_many_lasting("sha256", asked, UNTIL) is None

    def test_what_may_need_a_lease_takes_more(self, index: SqliteIndex) -> None:
        index.mark_complete(agreed_day="")
        index.add(replace(record_of(OTHER, number=1), expires=UNTIL), None)
        asked = [ONE.sha256.value]
        assert index.find_many_lasting("sha256", asked, UNTIL) == FoundMany(asked, asked)
        later = UNTIL + timedelta(seconds=1)
        assert index.find_many_lasting("sha256", asked, later) is None

    def test_an_alias_of_what_no_upload_names_takes_more(self, index: SqliteIndex) -> None:
        index.mark_complete(agreed_day="")
        with index.database.writing() as connection:
            connection.execute("DELETE FROM blob")
        assert index.find_many_lasting("md5", [bytes.fromhex(ONE.digests["md5"])], UNTIL) is None
        assert lasting(index, Digest("md5", ONE.digests["md5"])) == [None]


class TestOneMoment:
    def test_all_is_answered_as_of_the_first_question(
        self, index: SqliteIndex, quick: QuickIndex
    ) -> None:
        index.mark_complete(agreed_day="")
        with quick.one_moment():
            assert lasting(quick, OTHER.sha256) == [[]]
            index.add(record_of(OTHER, number=1), None)
            assert lasting(quick, OTHER.sha256) == [[]]
            assert quick.describe(OTHER.sha256) is None
        assert lasting(quick, OTHER.sha256) == [[OTHER.sha256.value]]

    def test_what_was_added_before_the_first_question_is_seen(
        self, index: SqliteIndex, quick: QuickIndex
    ) -> None:
        index.mark_complete(agreed_day="")
        with quick.one_moment():
            index.add(record_of(OTHER, number=1), None)
            assert lasting(quick, OTHER.sha256) == [[OTHER.sha256.value]]

    def test_several_questions_in_it_that_need_a_moment_have_that(
        self, index: SqliteIndex, quick: QuickIndex
    ) -> None:
        index.mark_complete(agreed_day="")
        pairs = [(ONE.sha256.value, ONE.sha256.value)]
        with quick.one_moment():
            for _ in range(2):
                assert quick.find_many("sha256", [ONE.sha256.value]) == pairs
            assert not quick.lease([ONE.sha256.value], at_least=UNTIL, until=UNTIL)

    def test_the_next_one_sees_what_is_beside_the_file(
        self, index: SqliteIndex, quick: QuickIndex
    ) -> None:
        index.mark_complete(agreed_day="")
        for mend, found in ((False, [None]), (True, [[ONE.sha256.value]])):
            with quick.one_moment():
                assert lasting(quick, ONE.sha256) == [None] if mend else [[ONE.sha256.value]]
                index.database.forget_gap() if mend else index.database.note_gap()
            with quick.one_moment():
                assert lasting(quick, ONE.sha256) == found

    def test_it_begins_where_there_is_no_file_and_raises_nothing(
        self, quick: QuickIndex, path: Path
    ) -> None:
        with quick.one_moment():
            for _ in range(2):
                with pytest.raises(IndexNotReady):
                    quick.find(ONE.sha256)
            with closing(SqliteIndex(path)) as made:
                made.add(record_of(ONE), None)
                assert quick.find(ONE.sha256) == (ONE.sha256,)

    def test_a_damaged_file_is_left_with_the_next_one(
        self, index: SqliteIndex, quick: QuickIndex
    ) -> None:
        with quick.one_moment():
            assert quick.find(ONE.sha256) == (ONE.sha256,)
            with pytest.raises(IndexNotReady):
                index.database.tell(damage())
        with quick.one_moment(), pytest.raises(IndexNotReady):
            quick.find(ONE.sha256)

    def test_a_transaction_that_was_lost_meanwhile_does_no_harm(
        self, index: SqliteIndex, quick: QuickIndex
    ) -> None:
        with quick.one_moment():
            assert quick.find(ONE.sha256) == (ONE.sha256,)
            quick.database.connection().rollback()
        index.add(record_of(OTHER, number=1), None)
        with quick.one_moment():
            assert quick.find(OTHER.sha256) == (OTHER.sha256,)


def damage() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("damaged")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
