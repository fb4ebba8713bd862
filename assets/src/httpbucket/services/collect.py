"""Collect: free blobs that no upload names, which broken-off uploads and deletes left."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import IndexNotReady
from httpbucket.services.let_go import LetGo
from httpbucket.storage.base import BlobStore, Index

#: Blobs that the index is asked for together.
BLOBS_AT_ONCE = 500


@dataclass
class CollectTally:
    """What a run did so far; ``last`` is the blob up to which it came, None when it came through.

    Of a dry run ``blobs`` and ``bytes_freed`` are what would be freed.
    """

    looked_at: int = 0
    blobs: int = 0
    bytes_freed: int = 0
    last: Digest | None = None


class Collect:
    """Goes through all blobs in order. Uploads never wait for it.

    A blob goes when the complete index names it nowhere, no lease holds it, nothing happened to it
    for ``grace_seconds``, and the store finds no name of it. Nothing goes before ``lease_seconds``
    have passed since the index was made anew: which leases a lost one held nobody knows.
    """

    blobs_at_once = BLOBS_AT_ONCE

    def __init__(
        self,
        *,
        blobs: BlobStore,
        index: Index,
        let_go: LetGo,
        grace_seconds: int,
        lease_seconds: int,
    ) -> None:
        self._blobs = blobs
        self._index = index
        self._let_go = let_go
        self._grace_seconds = grace_seconds
        self._lease_seconds = lease_seconds

    def run(
        self,
        now: datetime,
        *,
        dry_run: bool = False,
        despite_lost_leases: bool = False,
        after: Digest | None = None,
        may_go_on: Callable[[], bool] = lambda: True,
        on_freed: Callable[[Digest, int], None] = lambda blob, size: None,
    ) -> CollectTally:
        """Free what can be freed; asks ``may_go_on`` before each batch, tells ``on_freed`` of each.

        What it did not come to, a call with ``after`` its tally's ``last`` goes on with. Raises
        `IndexNotReady` before anything that the index cannot tell, of which leases that a lost
        index held count only for what is freed, and not ``despite_lost_leases``.
        """
        if not dry_run and not despite_lost_leases:
            self._require_all_leases(now)
        tally = CollectTally(last=after)
        idle_since = now.timestamp() - self._grace_seconds
        every = self._blobs.digests(after=after)
        while some := list(itertools.islice(every, BLOBS_AT_ONCE)):
            if not may_go_on():
                return tally
            for blob, size in self._freed(some, idle_since=idle_since, dry_run=dry_run):
                tally.blobs += 1
                tally.bytes_freed += size
                on_freed(blob, size)
            tally.looked_at += len(some)
            tally.last = some[-1]
        tally.last = None
        return tally

    def _require_all_leases(self, now: datetime) -> None:
        lasting = timedelta(seconds=self._lease_seconds)
        if now - (since := self._index.leases_since(now)) < lasting:
            raise IndexNotReady(
                f"What producers were told to be here before {since:%Y-%m-%d %H:%M} UTC, when the "
                f"index was made, is not known; it may go from {since + lasting:%Y-%m-%d %H:%M} on."
            )

    def _freed(
        self, some: Sequence[Digest], *, idle_since: float, dry_run: bool
    ) -> Iterator[tuple[Digest, int]]:
        if not self._index.is_complete():
            raise IndexNotReady("The index is being rebuilt; what is not named is not known yet.")
        for blob in self._index.unnamed(some):
            freed = self._let_go.free(blob, idle_since=idle_since, dry_run=dry_run)
            # 0 is for one that another process freed in the meantime.
            if freed:
                yield blob, freed
