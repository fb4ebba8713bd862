"""Ask answers producers: which content need not be sent; and it has that stay for a while."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import IndexNotReady
from httpbucket.services.leases import Leases
from httpbucket.services.lookup import Lookup
from httpbucket.storage.base import Index


class Ask:
    """Answers as `Lookup` does, and leases what is there.

    Without an index there are answers from the disk, and no lease: without it nothing expires and
    nothing is collected.
    """

    def __init__(self, *, lookup: Lookup, index: Index, leases: Leases) -> None:
        self._lookup = lookup
        self._index = index
        self._leases = leases

    def find(self, question: Sequence[Digest]) -> tuple[Digest, ...]:
        """As `Lookup.find`."""
        found = self._lookup.find(question)
        return self._lookup.find(question) if self.lease(_raw(found)) else found

    def resolve(self, question: Sequence[Digest]) -> Digest:
        """As `Lookup.resolve`."""
        found = self._lookup.resolve(question)
        return self._lookup.resolve(question) if self.lease(_raw([found])) else found

    def lease(self, found: Collection[bytes]) -> bool:
        """Lease blobs; whether to ask again, because they may have gone before that.

        Raises `IndexNotReady`.
        """
        if not found:
            return False
        try:
            return self._leases.grant(found)
        except IndexNotReady:
            if self._is_index_lost():
                return False
            # What answers can collect as well: without a lease, "have it" would be no promise.
            raise

    def _is_index_lost(self) -> bool:
        try:
            self._index.is_complete()
        except IndexNotReady:
            return True
        return False


def _raw(blobs: Iterable[Digest]) -> list[bytes]:
    return [blob.value for blob in blobs]
