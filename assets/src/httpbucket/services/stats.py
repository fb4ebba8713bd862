"""Stats tell how much is kept, and how much more could be."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from httpbucket.domain.errors import IndexNotReady
from httpbucket.storage.base import Capacity, Index, Space, Totals


@dataclass(frozen=True)
class Holdings:
    """What a store holds, and the room that it has; ``space`` is None where nobody can tell.

    ``is_complete`` is False while the index is being rebuilt: there is more than was counted.
    """

    totals: Totals
    space: Space | None
    is_complete: bool

    @property
    def saved_size(self) -> int:
        """Bytes that were not kept again, because equal content is kept once."""
        return max(0, self.totals.upload_size - self.totals.blob_size)

    def to_json(self) -> dict[str, Any]:
        """As ``GET /stats`` and the command line show it."""
        return {
            **asdict(self.totals),
            "saved_size": self.saved_size,
            "complete": self.is_complete,
            "space": asdict(self.space) if self.space else None,
        }


class Stats:
    """Asks the index and the place where things are kept."""

    def __init__(self, *, index: Index, capacity: Capacity) -> None:
        self._index = index
        self._capacity = capacity

    def expected(self) -> Totals:
        """About how much there is; nothing while nobody knows."""
        with suppress(IndexNotReady):
            return self._index.totals()
        return Totals(uploads=0, upload_size=0, blobs=0, blob_size=0)

    def holdings(self) -> Holdings:
        """What is kept now. Raises `IndexNotReady` and `StorageUnavailable`."""
        # Asked first, so that what is said of an answer was true when it was made.
        is_complete = self._index.is_complete()
        return Holdings(self._index.totals(), self._capacity.space(), is_complete)
