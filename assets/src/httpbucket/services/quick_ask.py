"""QuickAsk answers the commonest questions with one look at the index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound
from httpbucket.services.ask import Ask
from httpbucket.storage.base import BlobStore, Index


class QuickAsk:
    """Answers as `Ask` does, for who must not wait: raises where that would.

    Whatever one look does not tell is for ``ask``. ``index`` is None where leases are given
    whatever uploads there are: then none of its answers would do.
    """

    def __init__(
        self,
        *,
        ask: Ask,
        index: Index | None,
        blobs: BlobStore,
        lease_seconds: int,
        now: Callable[[], datetime],
    ) -> None:
        self._ask = ask
        self._index = index
        self._blobs = blobs
        self._lasting = timedelta(seconds=lease_seconds)
        self._now = now

    def require(self, question: Sequence[Digest]) -> None:
        """Return when what `Ask.find` would find is there. Raises as that."""
        known = self._look(question)
        if known is None:
            self._ask.find(question)
        elif not known:
            raise BlobNotFound("No upload names this content.")

    def _look(self, question: Sequence[Digest]) -> bool | None:
        if self._index is None:
            return None
        until = self._now() + self._lasting
        for digest in question:
            found = self._index.find_lasting(digest, until)
            if found is None:
                return None
            if found:
                # What is gone from the disk is told by who looks for others too.
                return len(self._blobs.kept(found)) == len(found) or None
        return False
