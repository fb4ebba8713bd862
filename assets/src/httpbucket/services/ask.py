"""Ask answers producers: which contents need not be sent; and it has those stay for a while."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from httpbucket.domain.checksum_runs import ChecksumRun
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound, IndexNotReady
from httpbucket.services.leases import Leases
from httpbucket.services.lookup import Lookup
from httpbucket.storage.base import BlobStore, FoundMany, Index

#: The digests that are known, raw, by the algorithms that they may mean.
_Known = defaultdict[tuple[str, ...], set[bytes]]


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

    def missing(self, asked: Sequence[ChecksumRun]) -> list[bytes]:
        """Those that have to be sent, in their order and in the bytes in which they came.

        Raises `IndexNotReady` where nobody can know yet; none is called missing that may be there.
        """
        known = self._lasting(asked)
        if known is not None:
            return _without(asked, known)
        missing, found = self._missing(asked)
        if self._lease(found):
            missing, _ = self._missing(asked)
        return missing

    def _lasting(self, asked: Sequence[ChecksumRun]) -> _Known | None:
        """The digests that are known, where one look tells that their blobs need no lease."""
        until = self._leases.until
        if until is None:
            return None
        known: _Known = defaultdict(set)
        for algorithms, values in _questions(asked).items():
            for algorithm in algorithms:
                try:
                    found = self._index.find_many_lasting(algorithm, values, until)
                except IndexNotReady:
                    return None
                if found is None:
                    return None
                known[algorithms] |= self._kept(found)[0]
        return known

    def _missing(self, asked: Sequence[ChecksumRun]) -> tuple[list[bytes], set[bytes]]:
        """Those that have to be sent, and the blobs that the others name."""
        known: _Known = defaultdict(set)
        found = set[bytes]()
        try:
            for algorithms, values in _questions(asked).items():
                for algorithm in algorithms:
                    there, blobs = self._kept(_columns(self._index.find_many(algorithm, values)))
                    known[algorithms] |= there
                    found |= blobs
            missing = _without(asked, known)
            if not missing or self._index.is_complete():
                return missing, found
        except IndexNotReady:
            known.clear()
            found.clear()
        return self._missing_on_disk(asked, known, found), found

    def _kept(self, found: FoundMany) -> tuple[set[bytes], set[bytes]]:
        """Of the digests that were found, those whose blobs are on the disk; and those blobs."""
        kept = set(self._blobs.kept(found.blobs))
        if found.values is found.blobs:
            return kept, kept
        pairs = zip(found.values, found.blobs, strict=True)
        return {value for value, blob in pairs if blob in kept}, kept

    def _missing_on_disk(
        self, asked: Sequence[ChecksumRun], known: _Known, found: set[bytes]
    ) -> list[bytes]:
        """As `_missing`, of those that are not ``known``; what is there is added to ``found``."""
        missing = []
        for algorithms, values, raws in asked:
            for value, raw in zip(values, raws, strict=True):
                if value not in known[algorithms]:
                    blobs = self._find_on_disk(tuple(Digest.of(name, value) for name in algorithms))
                    found.update(_raw(blobs))
                    if not blobs:
                        missing.append(raw)
        return missing

    def _find_on_disk(self, question: Sequence[Digest]) -> tuple[Digest, ...]:
        try:
            return self._lookup.find_on_disk(question)
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


def _questions(asked: Sequence[ChecksumRun]) -> dict[tuple[str, ...], list[bytes]]:
    """All values, by what they may mean."""
    questions: dict[tuple[str, ...], list[bytes]] = defaultdict(list)
    for run in asked:
        questions[run.algorithms] += run.values
    return questions


def _columns(pairs: Collection[tuple[bytes, bytes]]) -> FoundMany:
    return FoundMany([value for value, _ in pairs], [blob for _, blob in pairs])


def _without(asked: Sequence[ChecksumRun], known: _Known) -> list[bytes]:
    return [raw for run in asked for raw in run.raws_without(known[run.algorithms])]


def _raw(blobs: Iterable[Digest]) -> list[bytes]:
    return [blob.value for blob in blobs]
