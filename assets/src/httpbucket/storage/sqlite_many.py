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
_EACH = """
WITH RECURSIVE asked (start) AS (
    VALUES (1) UNION ALL SELECT start + :size FROM asked WHERE start + :size < :end
)
"""
_BY_SHA256 = (
    f"{_EACH} SELECT sha256 FROM asked CROSS JOIN blob ON sha256 = substr(:all, start, :size)"
)
_BY_ALIAS = f"""
{_EACH} SELECT value, sha256 FROM asked
CROSS JOIN alias ON value = substr(:all, start, :size) AND algorithm = :algorithm
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
    if not distinct:
        return []
    joined = b"".join(distinct)
    named = {
        "all": joined,
        "size": len(distinct[0]),
        "end": len(joined) + 1,
        "algorithm": algorithm,
    }
    return connection.execute(question, named).fetchall()


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
