"""The question that is asked most, about several digests: are they there, and do they stay?

As four statements a digest, as `SqliteIndex` has them, it takes three times as long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from httpbucket.domain.digest import Digest
from httpbucket.storage.base import FoundMany
from httpbucket.storage.sqlite_many import find_blobs, find_many

# Whether all uploads are known, and none goes before then.
_STATE = """
SELECT
    (SELECT value FROM state WHERE name = 'complete') IS '1',
    NOT EXISTS (SELECT 1 FROM upload WHERE expires < ?)
"""

# Whether an upload names the blob.
_BY_SHA256 = "SELECT 1 FROM blob WHERE sha256 = ?"
_BY_ALIAS = """
SELECT sha256, EXISTS (SELECT 1 FROM blob WHERE blob.sha256 = alias.sha256)
FROM alias WHERE value = ? AND algorithm = ?
"""


def find_lasting(
    connection: sqlite3.Connection, digests: Sequence[Digest], until: float
) -> list[Sequence[bytes] | None]:
    """What `Index.find_lasting` says, in Unix time; the connection is in a transaction."""
    cursor = connection.cursor()
    is_complete, is_lasting = _state(cursor, until)
    if not is_complete:
        return [None] * len(digests)
    return [_find(cursor, digest, is_lasting) for digest in digests]


def find_many_lasting(
    connection: sqlite3.Connection, algorithm: str, values: Sequence[bytes], until: float
) -> FoundMany | None:
    """What `Index.find_many_lasting` says, as above."""
    if not all(_state(connection.cursor(), until)):
        return None
    if algorithm == "sha256":
        blobs = find_blobs(connection, values)
        return FoundMany(blobs, blobs)
    pairs = find_many(connection, algorithm, values)
    found = FoundMany([value for value, _ in pairs], [blob for _, blob in pairs])
    blobs = sorted(set(found.blobs))
    return found if find_blobs(connection, blobs) == blobs else None


def _state(cursor: sqlite3.Cursor, until: float) -> tuple[bool, bool]:
    ((is_complete, is_lasting),) = cursor.execute(_STATE, (until,)).fetchall()
    return is_complete, is_lasting


def _find(cursor: sqlite3.Cursor, digest: Digest, is_lasting: bool) -> Sequence[bytes] | None:
    value = digest.value
    if digest.algorithm == "sha256":
        if not cursor.execute(_BY_SHA256, (value,)).fetchall():
            return ()
        return [value] if is_lasting else None
    rows = cursor.execute(_BY_ALIAS, (value, digest.algorithm)).fetchall()
    # An alias of a blob that no upload names is for more than one look.
    is_sure = not rows or (is_lasting and all(is_named for _, is_named in rows))
    return [blob for blob, _ in rows] if is_sure else None
