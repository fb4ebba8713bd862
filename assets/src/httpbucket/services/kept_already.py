"""KeptAlready finds out of very many digests at once which contents need not be sent."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.packed import Packing
from httpbucket.storage.base import BlobStore, Index

_AT_ONCE = 8192


class KnownContents:
    """Contents that are kept, by the digest that was asked for; packed, for they may be 100,000."""

    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        self._packed: dict[Digest, bytes] = {}

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._packed

    def __getitem__(self, digest: Digest) -> Descriptor:
        return self._packing.unpack(self._packed[digest], "")

    def add(self, digest: Digest, blob: Descriptor) -> None:
        """Remember what ``digest`` means."""
        self._packed[digest] = self._packing.pack(blob.digests, blob.size, blob.crc32)

    def forget(self, digest: Digest) -> None:
        """It is not kept any more."""
        del self._packed[digest]

    def __iter__(self) -> Iterator[Digest]:
        return iter(list(self._packed))

    def sha256(self) -> Iterator[bytes]:
        """Every identity, raw."""
        return (self[digest].sha256.value for digest in self._packed)


class KeptAlready:
    """Asks the index, and the store whether what the index knows is there."""

    def __init__(self, *, blobs: BlobStore, index: Index, digests: Sequence[str]) -> None:
        self._blobs = blobs
        self._index = index
        self._packing = Packing(digests)
        self._wanted = frozenset(self._packing.algorithms)

    def find(
        self, digests: Iterable[Digest], received: Mapping[Digest, Descriptor]
    ) -> KnownContents:
        """Those contents that are kept, and that a digest means without doubt.

        ``received`` are descriptions of some that no upload names yet. A content of a time when
        other digests were recorded is as good as missing: it comes again, and has them all then.
        """
        known = KnownContents(self._packing)
        waiting = iter(dict.fromkeys(digests))
        while portion := list(itertools.islice(waiting, _AT_ONCE)):
            came = ((one, received[one]) for one in portion if one in received)
            found = {one: blob for one, blob in came if self._is_described_in_full(blob)}
            for algorithm in {digest.algorithm for digest in portion}:
                values = {one.value for one in portion if one.algorithm == algorithm}
                found |= self._known(algorithm, values)
            kept = self._blobs.kept({blob.sha256.value for blob in found.values()})
            for digest, blob in found.items():
                if blob.sha256.value in kept:
                    known.add(digest, blob)
        return known

    @contextmanager
    def held(self, known: KnownContents) -> Iterator[None]:
        """Meanwhile nobody frees what is known; what went before is known no longer."""
        batch = self._blobs.batch()
        try:
            for digest in known:
                if not batch.hold(known[digest].sha256):
                    known.forget(digest)
            yield
        finally:
            batch.discard()

    def _known(self, algorithm: str, values: Collection[bytes]) -> dict[Digest, Descriptor]:
        pairs = self._index.find_many(algorithm, values)
        times = Counter(value for value, _ in pairs)
        blobs = self._index.describe_many({sha256 for _, sha256 in pairs})
        return {
            Digest.of(algorithm, value): blobs[sha256]
            for value, sha256 in pairs
            if times[value] == 1 and sha256 in blobs and self._is_described_in_full(blobs[sha256])
        }

    def _is_described_in_full(self, blob: Descriptor) -> bool:
        return blob.digests.keys() >= self._wanted
