"""What SQLite adds to the contract: processes, forks, and files that are no index."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from httpbucket.domain.errors import IndexNotReady
from httpbucket.storage import sqlite_connection
from httpbucket.storage.base import Totals
from httpbucket.storage.sqlite_index import SqliteIndex
from tests.examples import descriptor, record_of, tree_of, upload_id
from tests.processes import in_child, in_children

ONE = descriptor(b"one")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite3"


@pytest.fixture
def index(path: Path) -> Iterator[SqliteIndex]:
    index = SqliteIndex(path)
    yield index
    index.close()


def add_many(index: SqliteIndex, first: int, count: int) -> None:
    for number in range(first, first + count):
        index.add(record_of(descriptor(b"%d" % number), number=number), None)
    index.close()


def add_to(path: Path, first: int, count: int) -> None:
    add_many(SqliteIndex(path), first, count)


def add_without_log(path: Path, first: int, count: int) -> None:
    add_many(SqliteIndex(path, write_ahead_log=False), first, count)


def assert_works(index: SqliteIndex) -> None:
    index.add(record_of(ONE), None)
    assert index.find(ONE.sha256) == (ONE.sha256,)


class TestSharing:
    def test_eight_processes_write_without_finding_it_locked(self, path: Path) -> None:
        in_children([partial(add_to, path, first, 200) for first in range(0, 1600, 200)])
        with closing(SqliteIndex(path)) as index:
            assert sum(index.has_upload(upload_id(number)) for number in range(1600)) == 1600
        assert integrity(path) == "ok"

    def test_eight_processes_write_without_a_write_ahead_log(self, path: Path) -> None:
        in_children([partial(add_without_log, path, first, 40) for first in range(0, 320, 40)])
        with closing(SqliteIndex(path, write_ahead_log=False)) as index:
            assert sum(index.has_upload(upload_id(number)) for number in range(320)) == 320
        assert not path.with_name("index.sqlite3-wal").exists()

    def test_an_index_with_a_log_becomes_one_without(self, index: SqliteIndex, path: Path) -> None:
        assert_works(index)
        index.close()
        with closing(SqliteIndex(path, write_ahead_log=False)) as other:
            assert other.find(ONE.sha256) == (ONE.sha256,)
            assert_works(other)
            assert not path.with_name("index.sqlite3-wal").exists()

    def test_an_upload_that_a_locked_index_did_not_take_in_is_not_denied_by_anybody(
        self, index: SqliteIndex, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite_connection, "BUSY_SECONDS", 0.05)
        index.mark_complete(agreed_day="")
        with closing(sqlite3.connect(path, isolation_level=None)) as foreign:
            foreign.execute("BEGIN EXCLUSIVE")
            with pytest.raises(IndexNotReady):
                index.add(record_of(ONE), None)
            assert in_child(lambda: SqliteIndex(path).is_complete()) is False
            foreign.execute("ROLLBACK")
        assert index.is_complete() is False
        index.mark_complete(agreed_day="")
        assert index.is_complete() is True

    def test_threads_use_one_index(self, index: SqliteIndex, path: Path) -> None:
        threads = [
            threading.Thread(target=add_many, args=(index, first, 20))
            for first in range(0, 160, 20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(index.has_upload(upload_id(number)) for number in range(160)) == 160
        assert integrity(path) == "ok"

    def test_no_connection_crosses_a_fork(self, index: SqliteIndex, path: Path) -> None:
        index.add(record_of(ONE), None)
        mine = index.database.connection()
        is_shared, found = in_child(
            lambda: (index.database.connection() is mine, len(index.find(ONE.sha256)))
        )
        assert (is_shared, found) == (False, 1)
        in_children([partial(add_many, index, first, 50) for first in (100, 200)])
        assert index.has_upload(upload_id(249))
        assert index.database.connection() is mine
        assert integrity(path) == "ok"

    def test_a_reader_sees_what_was_there_before_while_another_writes(
        self, index: SqliteIndex
    ) -> None:
        index.add(record_of(ONE), None)
        with index.database.writing() as connection:
            connection.execute("DELETE FROM upload")
            assert in_child(lambda: index.has_upload(upload_id())) is True


class TestTotals:
    def test_what_is_removed_is_counted_no_more(self, index: SqliteIndex) -> None:
        add_many(index, 10, 5)
        assert index.totals() == Totals(5, 10, 5, 10)
        with index.database.writing() as connection:
            connection.execute("DELETE FROM upload WHERE id = ?", (str(upload_id(12)),))
        assert index.totals() == Totals(4, 8, 5, 10)
        with index.database.writing() as connection:
            connection.execute("DELETE FROM blob")
        assert index.totals() == Totals(4, 8, 0, 0)

    def test_what_many_processes_add_is_counted(self, path: Path) -> None:
        in_children([partial(add_to, path, first, 50) for first in range(100, 500, 100)])
        with closing(SqliteIndex(path)) as index:
            assert index.totals() == Totals(200, 600, 200, 600)

    @pytest.mark.parametrize("size", [-1, 2**63, 10**40])
    def test_a_record_that_claims_an_impossible_size_is_taken_in(
        self, index: SqliteIndex, size: int
    ) -> None:
        tree = replace(tree_of(b"one", [])[0], size=size)
        index.add(replace(record_of(ONE), tree=tree), None)
        index.add(record_of(ONE, number=1), None)
        assert index.totals().uploads == 2


class TestFilesThatAreNoIndex:
    @pytest.mark.parametrize(
        "content", [b"\0" * 4096, b"not a database" * 1000, b"SQLite format 3\0" + b"\xff" * 5000]
    )
    def test_garbage_is_moved_aside(
        self,
        index: SqliteIndex,
        path: Path,
        content: bytes,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        path.write_bytes(content)
        with caplog.at_level(logging.WARNING):
            index.prepare()
        assert_works(index)
        assert path.with_name("index.sqlite3.unusable").read_bytes() == content
        assert "index.sqlite3.unusable" in caplog.text
        assert index.is_complete() is False

    def test_an_empty_file_becomes_an_index(self, index: SqliteIndex, path: Path) -> None:
        path.write_bytes(b"")
        index.prepare()
        assert_works(index)
        assert not path.with_name("index.sqlite3.unusable").exists()

    def test_a_large_index_is_not_looked_through_at_start(
        self, index: SqliteIndex, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_many(index, 0, 300)
        index.close()
        damage(path)
        monkeypatch.setattr(sqlite_connection, "MOST_CHECKED_BYTES", 4096)
        index.prepare()
        assert not path.with_name("index.sqlite3.unusable").exists()
        monkeypatch.undo()
        index.prepare()
        assert path.with_name("index.sqlite3.unusable").exists()

    def test_another_schema_is_moved_aside(self, index: SqliteIndex, path: Path) -> None:
        add_many(index, 0, 3)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 99")
        with pytest.raises(IndexNotReady):
            index.find(ONE.sha256)
        index.prepare()
        assert index.has_upload(upload_id(0)) is False
        assert_works(index)

    @pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
    def test_half_a_file_is_moved_aside(self, index: SqliteIndex, path: Path, share: float) -> None:
        add_many(index, 0, 300)
        index.mark_complete(agreed_day="2026/11/19")
        index.close()
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        index.prepare()
        assert index.is_complete() is False
        assert_works(index)
        assert integrity(path) == "ok"

    def test_a_file_with_a_hole_is_moved_aside(self, index: SqliteIndex, path: Path) -> None:
        add_many(index, 0, 300)
        index.mark_complete(agreed_day="2026/11/19")
        index.close()
        damage(path)
        index.prepare()
        assert index.is_complete() is False
        assert_works(index)

    def test_after_damage_a_spare_index_is_used_by_every_process(
        self, index: SqliteIndex, path: Path
    ) -> None:
        add_many(index, 0, 300)
        index.mark_complete(agreed_day="2026/11/19")
        damage(path)
        with pytest.raises(IndexNotReady):
            add_many(index, 300, 300)
        assert index.is_complete() is False
        assert index.agreed_day() == ""
        assert_works(index)
        index.mark_complete(agreed_day="2026/11/19")
        with closing(SqliteIndex(path)) as other:
            assert in_child(lambda: SqliteIndex(path).find(ONE.sha256)) == (ONE.sha256,)
            assert other.is_complete() is True

    def test_a_start_after_damage_begins_with_a_new_index(
        self, index: SqliteIndex, path: Path
    ) -> None:
        add_many(index, 0, 300)
        damage(path)
        with pytest.raises(IndexNotReady):
            add_many(index, 300, 300)
        assert_works(index)
        index.prepare()
        assert index.find(ONE.sha256) == ()
        assert_works(index)
        left = {each.name for each in path.parent.iterdir()} - {path.with_suffix(".sqlite3").name}
        assert "index.sqlite3.unusable" in left
        assert [name for name in left if "spare" in name or "damaged" in name] == []

    def test_damage_found_while_serving_is_mended_by_the_next_start(
        self, index: SqliteIndex, path: Path
    ) -> None:
        add_many(index, 0, 300)
        damage(path)
        with pytest.raises(IndexNotReady):
            add_many(index, 300, 300)
        index.close()
        path.write_bytes(b"")
        index.mark_complete(agreed_day="2026/11/19")
        index.close()
        index.prepare()
        assert index.is_complete() is False
        index.mark_complete(agreed_day="2026/11/19")
        index.prepare()
        assert index.is_complete() is True

    def test_an_older_index_moved_aside_is_replaced_by_the_next(
        self, index: SqliteIndex, path: Path
    ) -> None:
        for content in (b"first" * 1000, b"second" * 1000):
            path.write_bytes(content)
            index.prepare()
            index.close()
        assert path.with_name("index.sqlite3.unusable").read_bytes() == b"second" * 1000

    def test_logs_that_outlive_their_index_do_no_harm(self, index: SqliteIndex, path: Path) -> None:
        in_child(lambda: add_and_die(index))
        assert path.with_name("index.sqlite3-wal").stat().st_size > 0
        path.unlink()
        index.prepare()
        assert index.is_complete() is False
        assert_works(index)
        assert integrity(path) == "ok"

    @pytest.mark.parametrize("suffix", ["-wal", "-shm"])
    def test_an_index_without_one_of_its_logs_still_works(
        self, index: SqliteIndex, path: Path, suffix: str
    ) -> None:
        in_child(lambda: add_and_die(index))
        path.with_name(path.name + suffix).unlink()
        index.prepare()
        assert_works(index)
        assert integrity(path) == "ok"

    def test_what_a_killed_process_committed_is_there(self, index: SqliteIndex) -> None:
        in_child(lambda: add_and_die(index))
        index.prepare()
        assert index.has_upload(upload_id(19))


class TestWhatCannotBeAnswered:
    def test_a_commit_that_fails_does_not_end_writing(self, index: SqliteIndex) -> None:
        with index.database.writing() as connection:
            connection.execute(
                "CREATE TABLE strict (id REFERENCES blob DEFERRABLE INITIALLY DEFERRED)"
            )
        connection.execute("PRAGMA foreign_keys = ON")
        with pytest.raises(IndexNotReady), index.database.writing() as connection:
            connection.execute("INSERT INTO strict VALUES (1)")
        index.mark_complete(agreed_day="2026/11/21")
        assert index.is_complete() is True

    def test_a_missing_directory_is_told_as_not_ready(self, tmp_path: Path) -> None:
        index = SqliteIndex(tmp_path / "gone" / "index.sqlite3")
        with pytest.raises(IndexNotReady):
            index.find(ONE.sha256)
        with pytest.raises(IndexNotReady):
            index.add(record_of(ONE), None)
        with pytest.raises(IndexNotReady):
            index.prepare()

    def test_what_the_system_refuses_is_told_as_not_ready(
        self, index: SqliteIndex, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(self: Path, mode: int) -> None:
            raise PermissionError(1, "Operation not permitted", str(self))

        with monkeypatch.context() as patched:
            patched.setattr(Path, "chmod", refuse)
            with pytest.raises(IndexNotReady) as raised:
                index.add(record_of(ONE), None)
        assert str(path.parent) not in str(raised.value)
        assert_works(index)

    def test_a_sentence_shows_no_path(self, tmp_path: Path) -> None:
        with pytest.raises(IndexNotReady) as raised:
            SqliteIndex(tmp_path / "gone" / "index.sqlite3").is_complete()
        assert str(tmp_path) not in str(raised.value)

    def test_it_answers_again_once_the_directory_is_there(self, tmp_path: Path) -> None:
        path = tmp_path / "late" / "index.sqlite3"
        with closing(SqliteIndex(path)) as index:
            with pytest.raises(IndexNotReady):
                index.is_complete()
            path.parent.mkdir()
            assert_works(index)


def add_and_die(index: SqliteIndex) -> None:
    """Commit without closing, so that the logs stay, as when a process is killed."""
    for number in range(20):
        index.add(record_of(descriptor(b"%d" % number), number=number), None)


def damage(path: Path) -> None:
    """Overwrite all pages but the first few, as a bad disk or a stray program would."""
    with path.open("r+b") as file:
        file.seek(9 * 4096)
        file.write(b"\xff" * 60 * 4096)


def integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
    return str(answer)
