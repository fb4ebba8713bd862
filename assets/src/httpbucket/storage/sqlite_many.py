"""Questions about very many contents at once, in as few statements as can be."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

# SQLite takes 32,766 values in a statement (sqlite.org/limits.html, 9). With 16,384 a row takes
# 2.3 µs, with 500 it takes 3.3.
_MOST_VALUES = 16_384

# Digests are all of one length, and come one behind the other as a single value: half of the time
# of as many values. They are looked up in their order, which is that of the pages of the table.
# Numbers of two digits count them, in two thirds of the time of a recursive query.
_DIGITS = 64
_MOST_DIGESTS = _DIGITS**2
_EACH = f"""
WITH digit (n) AS (VALUES {", ".join(f"({number})" for number in range(_DIGITS))}),
asked (value) AS (
    SELECT substr(:all, ({_DIGITS} * high.n + low.n) * :size + 1, :size)
    FROM digit AS high CROSS JOIN digit AS low
    WHERE {_DIGITS} * high.n < :count AND {_DIGITS} * high.n + low.n < :count
)
"""
_BY_SHA256 = f"{_EACH} SELECT sha256 FROM asked CROSS JOIN blob ON sha256 = asked.value"
_BY_ALIAS = f"""
{_EACH} SELECT alias.value, sha256 FROM asked
CROSS JOIN alias ON alias.value = asked.value AND algorithm = :algorithm
"""


def find_many(
    connection: sqlite3.Connection, algorithm: str, values: Collection[bytes]
) -> list[tuple[bytes, bytes]]:
    """What `Index.find_many` says."""
    if algorithm == "sha256":
        return [(blob, blob) for blob in find_blobs(connection, values)]
    return _rows_of(connection, _BY_ALIAS, values, algorithm)


def find_blobs(connection: sqlite3.Connection, values: Collection[bytes]) -> list[bytes]:
    """Those of the SHA-256 whose content an upload names."""
    return [blob for (blob,) in _rows_of(connection, _BY_SHA256, values)]


def _rows_of(
    connection: sqlite3.Connection, question: str, values: Collection[bytes], algorithm: str = ""
) -> list[tuple[Any, ...]]:
    distinct = sorted(set(values))
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(distinct), _MOST_DIGESTS):
        some = distinct[start : start + _MOST_DIGESTS]
        named = {
            "all": b"".join(some),
            "size": len(some[0]),
            "count": len(some),
            "algorithm": algorithm,
        }
        rows += connection.execute(question, named).fetchall()
    return rows


def rows_of_many(
    connection: sqlite3.Connection, question: str, values: Collection[bytes | str], *first: object
) -> list[tuple[Any, ...]]:
    """The rows of a question with ``IN ({})`` for all of ``values``; ``first`` are those before."""
    rows: list[tuple[Any, ...]] = []
    for portion in _portions(values):
        asked = question.format(", ".join("?" * len(portion)))
        rows += connection.execute(asked, [*first, *portion])
    return rows


def _portions(values: Collection[bytes | str]) -> Iterator[Sequence[bytes | str]]:
    """Filled up to powers of two, so that few statements are prepared; IN passes over doubles."""
    waiting = iter(values)
    while portion := list(islice(waiting, _MOST_VALUES)):
        full = 1 << (len(portion) - 1).bit_length()
        yield portion + portion[-1:] * (full - len(portion))
