"""The question that finds uploads in the index, and how far its answer is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from httpbucket.domain.search import UploadFilter, as_text, searched_name
from httpbucket.domain.upload import UploadId
from httpbucket.storage.base import FoundUploads

#: So many uploads are looked at for one answer. Those that do not fit take 0.1 µs each.
MOST_LOOKED_AT = 50_000

_ALL = "(SELECT id AS upload, name FROM upload)"

_NAME = "(SELECT name FROM upload WHERE id = found.upload)"

#: Uploads that name a content themselves, or by a tree in which it is a member.
_HOLDERS = """(
SELECT upload FROM named_by_upload WHERE sha256 IN ({0}) UNION
SELECT tree.upload FROM named_by_manifest AS member
JOIN named_by_upload AS tree ON tree.sha256 = member.manifest WHERE member.sha256 IN ({0})
)"""

_HAS_HEADER = """EXISTS (
SELECT 1 FROM header AS other WHERE (other.name, other.value, other.upload) = (?, ?, found.upload)
)"""

_LOOKED_AT = """
FROM {source} AS found WHERE {conditions} AND found.upload < ? AND found.upload >= ?
ORDER BY found.upload DESC
"""

# The inner answer is made row by row, only as far as the outer one is read.
_QUESTION = """
SELECT upload FROM (SELECT found.upload AS upload, {fits} AS fits {looked_at} LIMIT {most})
WHERE fits LIMIT ?
"""

_LAST_LOOKED_AT = "SELECT found.upload {looked_at} LIMIT 2 OFFSET {most} - 1"


@dataclass(frozen=True, slots=True)
class Candidates:
    """The uploads that are looked at, as SQL with its values, and the headers they have to have.

    ``name`` is what has an upload's name, as SQL.
    """

    name: str
    looked_at: str
    values: tuple[object, ...]
    headers: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, wanted: UploadFilter, *, before: str) -> Self:
        """Those among which an answer to ``wanted`` lies, the newest first."""
        headers = [(name.lower(), as_text(value)) for name, value in sorted(wanted.headers.items())]
        name, source, conditions = "found.name", _ALL, "1"
        chosen_by: Sequence[object] = ()
        if wanted.contents is not None:
            name, source = _NAME, _HOLDERS.format(", ".join("?" for _ in wanted.contents))
            chosen_by = 2 * [content.value for content in wanted.contents]
        elif headers:
            name, source = _NAME, "header"
            conditions = "found.name = ? AND found.value = ?"
            chosen_by = headers.pop(0)
        looked_at = _LOOKED_AT.format(source=source, conditions=conditions)
        # Behind the digits that every id begins with.
        return cls(name, looked_at, (*chosen_by, before or "~", wanted.first_id), headers)

    def question(self, name: str, limit: int) -> tuple[str, tuple[object, ...]]:
        """Asks for the first ``limit`` whose name holds ``name`` and that have the headers.

        SQLite passes over what does not fit in 0.1 µs; told here, each would take 1 µs.
        """
        checks = [f"instr({self.name}, ?) > 0", *(_HAS_HEADER for _ in self.headers)]
        checked = (name, *(text for header in self.headers for text in header))
        question = _QUESTION.format(
            fits=" AND ".join(checks), looked_at=self.looked_at, most=MOST_LOOKED_AT
        )
        return question, (*checked, *self.values, limit)


def find_uploads(
    connection: sqlite3.Connection, wanted: UploadFilter, *, before: str, limit: int
) -> FoundUploads:
    """What `Index.find_uploads` says.

    Those with the content or the first header are read from their table in the order of the
    answer. Names have no table, because a part of a name can begin anywhere. A content that lies
    in very many trees costs a look at each.
    """
    candidates = Candidates.of(wanted, before=before)
    question, values = candidates.question(searched_name(wanted.name), limit + 1)
    ids = [upload for (upload,) in connection.execute(question, values).fetchall()]
    found = tuple(map(UploadId, ids[:limit]))
    if len(ids) > limit:
        return FoundUploads(found, ids[limit - 1])
    return FoundUploads(found, _last_looked_at(connection, candidates))


def _last_looked_at(connection: sqlite3.Connection, candidates: Candidates) -> str | None:
    """The oldest candidate that was looked at; None where these were all."""
    question = _LAST_LOOKED_AT.format(looked_at=candidates.looked_at, most=MOST_LOOKED_AT)
    rows = connection.execute(question, candidates.values).fetchall()
    return str(rows[0][0]) if len(rows) > 1 else None
