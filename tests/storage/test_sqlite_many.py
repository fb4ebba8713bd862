"""Very many digests are found by few statements, whichever of them are there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing

import pytest

from httpbucket.storage.sqlite_many import find_blobs, find_many, let_go_of_pages
from httpbucket.storage.sqlite_schema import SCHEMA

VALUES = [number.to_bytes(32, "big") for number in range(9000)]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(SCHEMA)
        yield connection


def add(connection: sqlite3.Connection, values: Iterable[bytes]) -> None:
    rows = [(value,) for value in values]
    connection.executemany("INSERT INTO blob VALUES (?, 1, 1, '', '', '', x'')", rows)
    connection.executemany("INSERT INTO alias VALUES (?1, 'sha3_256', ?1)", rows)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 127, 128, 4095, 4096, 4097, 9000])
@pytest.mark.parametrize(
    "places",
    [
        slice(None),
        slice(0, 0),
        slice(None, None, 2),
        slice(1, None, 7),
        slice(63, None, 64),
        slice(64, 128),
        slice(4096, None),
    ],
    ids=str,
)
def test_those_that_are_there_are_found(
    connection: sqlite3.Connection, count: int, places: slice
) -> None:
    known = VALUES[places]
    add(connection, known)
    there = set(known)
    expected = [value for value in VALUES[:count] if value in there]
    assert find_blobs(connection, VALUES[:count]) == expected
    assert find_blobs(connection, VALUES[:count][::-1]) == expected[::-1]
    for algorithm in ("sha256", "sha3_256"):
        pairs = find_many(connection, algorithm, VALUES[:count])
        assert pairs == [(value, value) for value in expected]


def test_memory_is_given_back_after_very_many(connection: sqlite3.Connection) -> None:
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    let_go_of_pages(connection, VALUES[:10])
    assert asked == []
    let_go_of_pages(connection, VALUES)
    assert asked == ["PRAGMA shrink_memory"]
