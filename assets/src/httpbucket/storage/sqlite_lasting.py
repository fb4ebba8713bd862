"""One statement for the question that is asked most: is it there, and does it stay?

As four statements, as `SqliteIndex` has them, it takes three times as long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from httpbucket.domain.digest import Digest

# Whether all uploads are known, and none goes before then; the blob; whether an upload names it.
_FRAME = """
SELECT
    (SELECT value FROM state WHERE name = 'complete') IS '1',
    NOT EXISTS (SELECT 1 FROM upload WHERE expires < ?1),
    asked.sha256,
    EXISTS (SELECT 1 FROM blob WHERE sha256 = asked.sha256)
FROM {}
"""

_BY_SHA256 = _FRAME.format("(SELECT ?2 AS sha256) AS asked")

# A row, whether there is an alias or not.
_BY_ALIAS = _FRAME.format(
    "(SELECT 1) LEFT JOIN alias AS asked ON asked.value = ?2 AND asked.algorithm = ?3"
)


def find_lasting(
    connection: sqlite3.Connection, digest: Digest, until: float
) -> Sequence[bytes] | None:
    """What `Index.find_lasting` says, in Unix time."""
    if digest.algorithm == "sha256":
        rows = connection.execute(_BY_SHA256, (until, digest.value)).fetchall()
    else:
        values = (until, digest.value, digest.algorithm)
        rows = connection.execute(_BY_ALIAS, values).fetchall()
    is_complete, is_lasting, blob, is_named = rows[0]
    if not is_complete:
        return None
    # An alias of a blob that no upload names is for more than one look.
    if not is_named and (blob is None or digest.algorithm == "sha256"):
        return ()
    is_sure = is_lasting and all(row[3] for row in rows)
    return [row[2] for row in rows] if is_sure else None
