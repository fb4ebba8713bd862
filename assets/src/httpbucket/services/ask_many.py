"""AskMany answers producers that ask for very many contents: which of them have to be sent."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound, IndexNotReady
from httpbucket.services.ask import Ask
from httpbucket.services.digests_in_order import PORTION, in_order
from httpbucket.services.held_checksums import HeldChecksums
from httpbucket.services.leases import Leases
from httpbucket.services.lookup import Lookup
from httpbucket.services.spool import Spool
from httpbucket.storage.base import BlobStore, FoundMany, Index, Staging


class AskMany:
    """Answers of each what `Ask` does, and leases what is there.

    The digests are looked up some thousand at a time. Each of these portions is answered as of one
    moment, after the whole list came.
    """

    def __init__(
        self,
        *,
        ask: Ask,
        lookup: Lookup,
        blobs: BlobStore,
        index: Index,
        leases: Leases,
        staging: Staging,
    ) -> None:
        self._ask = ask
        self._lookup = lookup
        self._blobs = blobs
        self._index = index
        self._leases = leases
        self._staging = staging
        self._turn = threading.Lock()

    @contextmanager
    def hold(self) -> Iterator[HeldChecksums]:
        """A new, empty list, gone at the end."""
        with Spool(self._staging) as spool:
            yield HeldChecksums(spool)

    def spool(self) -> Spool:
        """Room for an answer, which the caller discards."""
        return Spool(self._staging)

    def missing(self, asked: HeldChecksums) -> bytearray:
        """A byte for each digest, in their order: 1 where it has to be sent, or else 0.

        Raises `IndexNotReady` where nobody can know yet; none is called missing that may be there.
        """
        marks = bytearray(asked.total)
        with self._turn_for(asked.total):
            for algorithms, places, values in in_order(asked):
                known = self._known(algorithms, values)
                if len(known) < len(values):
                    for place, value in zip(places, values, strict=True):
                        marks[place] = value not in known
        return marks

    def _turn_for(self, total: int) -> AbstractContextManager[object]:
        """One long list after the other: at once they would take all their memory together.

        They would take longer, too: after each look at the disk a thread has to wait for Python's
        lock if another one wants it.
        """
        return self._turn if total > PORTION else nullcontext()

    def _known(self, algorithms: Sequence[str], values: Sequence[bytes]) -> set[bytes]:
        """Those of the digests that are known, whose blobs stay."""
        known = self._lasting(algorithms, values)
        if known is not None:
            return known
        known, found = self._found(algorithms, values)
        if self._ask.lease(found):
            known, _ = self._found(algorithms, values)
        return known

    def _lasting(self, algorithms: Sequence[str], values: Sequence[bytes]) -> set[bytes] | None:
        """The same, where one look tells that their blobs need no lease."""
        until = self._leases.until
        if until is None:
            return None
        known = set[bytes]()
        for algorithm in algorithms:
            try:
                found = self._index.find_many_lasting(algorithm, values, until)
            except IndexNotReady:
                return None
            if found is None:
                return None
            known |= self._kept(found)[0]
        return known

    def _found(
        self, algorithms: Sequence[str], values: Sequence[bytes]
    ) -> tuple[set[bytes], set[bytes]]:
        """Those of the digests that are known, and the blobs that they name."""
        known, blobs = set[bytes](), set[bytes]()
        try:
            for algorithm in algorithms:
                pairs = self._index.find_many(algorithm, values)
                there, kept = self._kept(_columns(pairs))
                known |= there
                blobs |= kept
            if known.issuperset(values) or self._index.is_complete():
                return known, blobs
        except IndexNotReady:
            known.clear()
            blobs.clear()
        self._add_those_on_disk(algorithms, values, known, blobs)
        return known, blobs

    def _kept(self, found: FoundMany) -> tuple[set[bytes], set[bytes]]:
        """Of the digests that were found, those whose blobs are on the disk; and those blobs."""
        kept = self._blobs.kept(found.blobs)
        if found.values is found.blobs:
            return kept, kept
        pairs = zip(found.values, found.blobs, strict=True)
        return {value for value, blob in pairs if blob in kept}, kept

    def _add_those_on_disk(
        self,
        algorithms: Sequence[str],
        values: Sequence[bytes],
        known: set[bytes],
        blobs: set[bytes],
    ) -> None:
        for value in set(values) - known:
            question = tuple(Digest.of(algorithm, value) for algorithm in algorithms)
            try:
                found = self._lookup.find_on_disk(question)
            except BlobNotFound:
                continue
            known.add(value)
            blobs.update(blob.value for blob in found)


def _columns(pairs: Collection[tuple[bytes, bytes]]) -> FoundMany:
    return FoundMany([value for value, _ in pairs], [blob for _, blob in pairs])
