"""What SQLite adds to the search: that it looks at no more than it has to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from httpbucket.domain.search import UploadFilter
from httpbucket.storage import sqlite_search
from httpbucket.storage.sqlite_index import SqliteIndex
from httpbucket.storage.sqlite_search import Candidates
from tests.examples import NOW, descriptor, record_of, upload_id

ONE = descriptor(b"one")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqliteIndex]:
    index = SqliteIndex(tmp_path / "index.sqlite3")
    for days in range(5):
        name = "old.xml" if days == 0 else "new.xml"
        headers = {"topic": "demo", "user": "bob"}
        index.add(replace(record_of(ONE, days=days, name=name), headers=headers), None)
    yield index
    index.close()


@pytest.mark.parametrize(
    "wanted",
    [
        UploadFilter(),
        UploadFilter(name="results"),
        UploadFilter(since=NOW),
        UploadFilter(headers={"topic": "demo"}),
        UploadFilter(name="results", headers={"topic": "demo", "user": "bob"}, since=NOW),
    ],
)
def test_uploads_are_read_in_the_order_of_the_answer(
    index: SqliteIndex, wanted: UploadFilter
) -> None:
    plan = plan_of(index, wanted)
    # The outer question reads the inner one, which is no table, row by row.
    steps = [step for step in plan if not step.startswith(("CO-ROUTINE", "SCAN (subquery"))]
    assert all(step.startswith(("SEARCH", "CORRELATED")) for step in steps), plan


def test_a_content_is_looked_up_in_its_tables(index: SqliteIndex) -> None:
    plan = plan_of(index, UploadFilter(contents=(ONE.sha256,), headers={"topic": "demo"}))
    scanned = {step for step in plan if step.startswith("SCAN") and "(subquery" not in step}
    assert scanned <= {"SCAN found"}


def plan_of(index: SqliteIndex, wanted: UploadFilter) -> list[str]:
    question, values = Candidates.of(wanted, before="").question(wanted.name, 10)
    connection: sqlite3.Connection = index.database.connection()
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {question}", values)]


def test_an_answer_ends_after_so_many_looks_and_says_where_to_go_on(
    index: SqliteIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_search, "MOST_LOOKED_AT", 3)
    wanted = UploadFilter(name="old")
    first = index.find_uploads(wanted, limit=10)
    assert (first.ids, first.next_before) == ((), str(upload_id(days=2)))
    second = index.find_uploads(wanted, before=first.next_before or "", limit=10)
    assert (second.ids, second.next_before) == ((upload_id(),), None)
