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
# of as many values. Numbers of two digits count them, in two thirds of the time of a recursive
# query.
_DIGITS = 64
_MOST_DIGESTS = _DIGITS**2
_DIGIT = f"WITH digit (n) AS (VALUES {', '.join(f'({number})' for number in range(_DIGITS))})"
_PLACE = f"{_DIGITS} * high.n + low.n"
_VALUE = f"substr(:all, ({_PLACE}) * :size + 1, :size)"

#: So many answers may stay in memory: they take some hundred KiB.
_FEW = 256

# For 64 digests a number with a bit for each that is there: half of the time of a row for each.
# The highest bit is the sign: no sum of some of them overflows, in whatever order they are added.
_WHICH = f"""
{_DIGIT} SELECT (
    SELECT sum(1 << low.n) FROM digit AS low CROSS JOIN blob ON sha256 = {_VALUE}
    WHERE {_PLACE} < :count
) FROM digit AS high WHERE {_DIGITS} * high.n < :count
"""
_ALL_OF_THEM = -1

_BY_ALIAS = f"""
{_DIGIT} SELECT value, sha256 FROM digit AS high CROSS JOIN digit AS low
CROSS JOIN alias ON value = {_VALUE} AND algorithm = :algorithm
WHERE {_DIGITS} * high.n < :count AND {_PLACE} < :count
"""


def find_many(
    connection: sqlite3.Connection, algorithm: str, values: Collection[bytes]
) -> list[tuple[bytes, bytes]]:
    """What `Index.find_many` says."""
    # In their order, which is that of the pages of the table.
    distinct = sorted(set(values))
    if algorithm == "sha256":
        return [(blob, blob) for blob in find_blobs(connection, distinct)]
    rows: list[tuple[Any, ...]] = []
    for some in _cut(distinct, _MOST_DIGESTS):
        named = {**_joined(some), "algorithm": algorithm}
        rows += connection.execute(_BY_ALIAS, named).fetchall()
    return rows


def find_blobs(connection: sqlite3.Connection, values: Sequence[bytes]) -> list[bytes]:
    """Those of the SHA-256 whose content an upload names; near ones come together."""
    found: list[bytes] = []
    for some in _cut(values, _MOST_DIGESTS):
        which = connection.execute(_WHICH, _joined(some)).fetchall()
        for few, (bits,) in zip(_cut(some, _DIGITS), which, strict=True):
            if bits == _ALL_OF_THEM:
                found += few
            elif bits:
                found += [value for place, value in enumerate(few) if bits >> place & 1]
    return found


def let_go_of_pages(connection: sqlite3.Connection, values: Collection[bytes]) -> None:
    """Give back the memory that very many answers took, up to 2 MiB in each thread's connection.

    The next ones lie in other pages anyway, and those of the kernel are the same.
    """
    if len(values) > _FEW:
        connection.execute("PRAGMA shrink_memory")


def _joined(values: Sequence[bytes]) -> dict[str, object]:
    return {"all": b"".join(values), "size": len(values[0]), "count": len(values)}


def _cut(values: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (values[start : start + size] for start in range(0, len(values), size))


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
