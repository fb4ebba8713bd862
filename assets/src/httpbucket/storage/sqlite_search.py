"""The question that finds uploads in the index, and how far its answer is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from httpbucket.domain.search import UploadFilter, as_text, searched_name
from httpbucket.domain.upload import UploadId
from httpbucket.storage.base import FoundUploads

#: So many uploads are looked at for one answer. Rows that do not fit take about 1 µs each.
MOST_LOOKED_AT = 50_000

_ALL = "(SELECT id AS upload FROM upload)"

#: Uploads that name a content themselves, or by a tree in which it is a member.
_HOLDERS = """(
SELECT upload FROM named_by_upload WHERE sha256 IN ({0}) UNION
SELECT tree.upload FROM named_by_manifest AS member
JOIN named_by_upload AS tree ON tree.sha256 = member.manifest WHERE member.sha256 IN ({0})
)"""

_HAS_HEADER = """EXISTS (
SELECT 1 FROM header AS other WHERE (other.name, other.value, other.upload) = (?, ?, found.upload)
)"""

# CROSS JOIN has SQLite read ``found`` first, in its own order (sqlite.org/optoverview.html, 8.1.2).
_QUESTION = """
SELECT upload.id, {fits} FROM {source} AS found CROSS JOIN upload ON upload.id = found.upload
WHERE {conditions} AND found.upload < ? AND found.upload >= ? ORDER BY found.upload DESC
"""


def candidates(wanted: UploadFilter, *, before: str) -> tuple[str, list[object]]:
    """The question, and its values: ids newest first, each with whether the upload fits.

    Those with the content or the first header are read from their table in the order of the
    answer. Names have no table, because a part of a name can begin anywhere. A content that lies
    in very many trees costs a look at each.
    """
    headers = [(name.lower(), as_text(value)) for name, value in sorted(wanted.headers.items())]
    source, conditions = _ALL, "1"
    chosen_by: Sequence[object] = ()
    if wanted.contents is not None:
        source = _HOLDERS.format(", ".join("?" for _ in wanted.contents))
        chosen_by = 2 * [content.value for content in wanted.contents]
    elif headers:
        source, conditions = "header", "found.name = ? AND found.value = ?"
        chosen_by = headers.pop(0)
    fits = " AND ".join(["instr(upload.name, ?) > 0", *(_HAS_HEADER for _ in headers)])
    checked = [searched_name(wanted.name), *(text for header in headers for text in header)]
    # Behind the digits that every id begins with.
    span = [before or "~", wanted.first_id]
    question = _QUESTION.format(fits=fits, source=source, conditions=conditions)
    return question, [*checked, *chosen_by, *span]


def chosen(rows: Iterable[tuple[str, int]], limit: int) -> FoundUploads:
    """The first ``limit`` that fit, among as many as may be looked at."""
    ids: list[UploadId] = []
    last = ""
    for looked_at, (upload, fits) in enumerate(rows):
        if len(ids) == limit or looked_at == MOST_LOOKED_AT:
            return FoundUploads(tuple(ids), last)
        if fits:
            ids.append(UploadId(upload))
        last = upload
    return FoundUploads(tuple(ids), None)
