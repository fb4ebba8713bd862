"""Search finds uploads by what their records say."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import UploadNotFound
from httpbucket.domain.search import UploadFilter
from httpbucket.domain.upload import Record
from httpbucket.storage.base import Index, Records


@dataclass(frozen=True)
class SearchPage:
    """Uploads that were found, newest first, and the id to go on before (None: that was all).

    ``is_complete`` is False while the index is being rebuilt: more may be found later.
    """

    records: tuple[Record, ...]
    next_before: str | None
    is_complete: bool


class Search:
    """Asks the index, and reads the records of what it finds."""

    def __init__(self, *, records: Records, index: Index) -> None:
        self._records = records
        self._index = index

    def find(
        self,
        wanted: UploadFilter,
        *,
        digest: Sequence[Digest] = (),
        before: str = "",
        limit: int,
    ) -> SearchPage:
        """At most ``limit`` uploads that fit ``wanted`` and are older than the id ``before``.

        ``digest`` holds the digests that a client may have meant, best first: only uploads that
        hold a content with the first known one are found. Raises `IndexNotReady`.
        """
        # Asked first, so that what is said of an answer was true when it was made.
        is_complete = self._index.is_complete()
        if digest:
            wanted = replace(wanted, contents=self._contents(digest))
        found = self._index.find_uploads(wanted, before=before, limit=limit)
        records = []
        for upload in found.ids:
            with suppress(UploadNotFound, ValueError):
                records.append(self._records.load(upload))
        return SearchPage(tuple(records), found.next_before, is_complete)

    def _contents(self, question: Sequence[Digest]) -> tuple[Digest, ...]:
        every = (self._index.find(digest) for digest in question)
        return next(filter(None, every), ())
