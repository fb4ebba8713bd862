"""QuickAsk answers the commonest questions, several at a time, with one look at the index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound, BucketError
from httpbucket.services.ask import Ask
from httpbucket.storage.base import BlobStore, Index


class QuickAsk:
    """Answers as `Ask` does, for who must not wait.

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

    def answers(self, questions: Sequence[Sequence[Digest]]) -> list[bool | None]:
        """Whether there is what `Ask.find` would find; None where it would refuse to say."""
        if self._index is None:
            return [self._answer_in_full(question) for question in questions]
        try:
            found = self._look(self._index, questions)
            there = frozenset(self._blobs.kept([blob for blobs in found for blob in blobs or ()]))
        except BucketError:
            return [None] * len(questions)
        return [
            self._answer_in_full(question)
            # What is gone from the disk is told by who looks for others too.
            if blobs is None or not there.issuperset(blobs)
            else bool(blobs)
            for question, blobs in zip(questions, found, strict=True)
        ]

    def _look(
        self, index: Index, questions: Sequence[Sequence[Digest]]
    ) -> list[Sequence[bytes] | None]:
        asked = [digest for question in questions for digest in question]
        told = iter(index.find_lasting(asked, self._now() + self._lasting))
        return [_first(list(islice(told, len(question)))) for question in questions]

    def _answer_in_full(self, question: Sequence[Digest]) -> bool | None:
        try:
            self._ask.find(question)
        except BlobNotFound:
            return False
        except BucketError:
            return None
        return True


def _first(told: Sequence[Sequence[bytes] | None]) -> Sequence[bytes] | None:
    """The blobs of the first digest that has any; None where one before is not certain."""
    for blobs in told:
        if blobs or blobs is None:
            return blobs
    return ()
