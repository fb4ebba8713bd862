"""SeeAgain tells whether what an answer was made from is still so, and reads its bytes again."""

from __future__ import annotations

from dataclasses import dataclass

from httpbucket.domain.errors import BucketError
from httpbucket.storage.base import Index, KnownBlob, Sighting


@dataclass(frozen=True, slots=True)
class Seen:
    """All that an answer with the bytes of a file was made from.

    ``known`` is what the index said, if it was asked what there is to say of the bytes.
    """

    sighting: Sighting
    known: KnownBlob | None = None


class SeeAgain:
    """Looks again, for who must not wait; ``index`` is one that does not."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def read(self, seen: Seen, start: int, stop: int) -> bytes | None:
        """These bytes of the file; None unless all that was seen is so still, and they are there.

        Where ``start`` is ``stop``, the file is not opened.
        """
        if seen.known and not self._is_known(seen.known):
            return None
        if start == stop:
            return b"" if seen.sighting.is_unchanged() else None
        return seen.sighting.read(start, stop)

    def _is_known(self, known: KnownBlob) -> bool:
        try:
            return self._index.describe(known.blob.sha256) == known
        except BucketError:
            return False
