"""Ask answers producers: which contents need not be sent; and it has those stay for a while."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from httpbucket.domain.checksum_file import ChecksumEntry
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound, IndexNotReady
from httpbucket.services.leases import Leases
from httpbucket.services.lookup import Lookup
from httpbucket.storage.base import BlobStore, Index


class Ask:
    """Answers as `Lookup` does, and leases what is there.

    Without an index there are answers from the disk, and no lease: without it nothing expires and
    nothing is collected.
    """

    def __init__(self, *, lookup: Lookup, blobs: BlobStore, index: Index, leases: Leases) -> None:
        self._lookup = lookup
        self._blobs = blobs
        self._index = index
        self._leases = leases

    def find(self, question: Sequence[Digest]) -> tuple[Digest, ...]:
        """As `Lookup.find`."""
        found = self._lookup.find(question)
        return self._lookup.find(question) if self._lease(_raw(found)) else found

    def resolve(self, question: Sequence[Digest]) -> Digest:
        """As `Lookup.resolve`."""
        found = self._lookup.resolve(question)
        return self._lookup.resolve(question) if self._lease(_raw([found])) else found

    def missing(self, asked: Sequence[ChecksumEntry]) -> list[ChecksumEntry]:
        """Those that have to be sent, in their order.

        Raises `IndexNotReady` where nobody can know yet; none is called missing that may be there.
        """
        missing, found = self._missing(asked)
        if self._lease(found):
            missing, _ = self._missing(asked)
        return missing

    def _missing(self, asked: Sequence[ChecksumEntry]) -> tuple[list[ChecksumEntry], set[bytes]]:
        """Those that have to be sent, and the blobs that the others name."""
        try:
            known, found = self._known(asked)
            missing = [entry for entry in asked if entry.value not in known[entry.algorithms]]
            if not missing or self._index.is_complete():
                return missing, found
        except IndexNotReady:
            missing, found = list(asked), set()
        on_disk = [self._find_on_disk(entry) for entry in missing]
        found.update(_raw(blob for blobs in on_disk for blob in blobs))
        return [entry for entry, blobs in zip(missing, on_disk, strict=True) if not blobs], found

    def _known(
        self, asked: Sequence[ChecksumEntry]
    ) -> tuple[dict[tuple[str, ...], set[bytes]], set[bytes]]:
        """The digests that are known, by what they may mean, and the blobs that they name."""
        questions: dict[tuple[str, ...], set[bytes]] = defaultdict(set)
        for entry in asked:
            questions[entry.algorithms].add(entry.value)
        known, found = {}, set[bytes]()
        for algorithms, values in questions.items():
            known[algorithms] = set[bytes]()
            for algorithm in algorithms:
                pairs = self._index.find_many(algorithm, values)
                kept = self._blobs.kept([blob for _, blob in pairs])
                known[algorithms].update([value for value, blob in pairs if blob in kept])
                found.update(kept)
        return known, found

    def _find_on_disk(self, entry: ChecksumEntry) -> tuple[Digest, ...]:
        try:
            return self._lookup.find_on_disk(entry.question)
        except BlobNotFound:
            return ()

    def _lease(self, found: Collection[bytes]) -> bool:
        """Whether to ask again, because what was found may have gone before it was leased."""
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
