"""Let go: free what a removed upload named and nothing else does."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import EMPTY, Digest
from httpbucket.domain.errors import BlobNotFound, BucketError
from httpbucket.domain.freed import Freed
from httpbucket.domain.search import UploadFilter
from httpbucket.domain.upload import Record, UploadId
from httpbucket.services.reindex import remove_from_index
from httpbucket.storage.base import BlobStore, Index, Manifest, Records, TreeStore

logger = logging.getLogger(__name__)

#: Members of a tree that are looked at together.
MEMBERS_AT_ONCE = 500
#: Uploads that are told to share what stays.
MOST_SHARED_WITH = 5

#: Whether an answer that a content is there still holds at a moment.
IsLeased = Callable[[Digest, datetime], bool]


class LetGo:
    """Takes removed uploads out of the index, and frees blobs that it names nowhere any more."""

    def __init__(
        self,
        *,
        blobs: BlobStore,
        trees: TreeStore,
        records: Records,
        index: Index,
        is_leased: IsLeased,
        now: Callable[[], datetime],
    ) -> None:
        self._blobs = blobs
        self._trees = trees
        self._records = records
        self._index = index
        self._is_leased = is_leased
        self._now = now

    def upload(self, record: Record, *, despite_leases: bool = False) -> Freed:
        """Finish with an upload that is removed. May be repeated, as what fails is by `Delete`.

        A lease keeps what the upload named, unless it is to go ``despite_leases``.
        """
        tally = _Tally(despite_leases=despite_leases)
        try:
            self._let_go(record, tally)
        except BucketError as error:
            logger.warning("What upload %s leaves is let go later: %s", record.id, error)
            tally.is_finished = False
        return tally.freed()

    def free(
        self, blob: Digest, *, idle_since: float | None = None, dry_run: bool = False
    ) -> int | None:
        """Free a blob as `BlobStore.free`, if no upload names it and no lease holds it."""
        if not self._index.unnamed([blob]) or self._is_leased(blob, self._now()):
            return None
        return self._blobs.free(blob, idle_since=idle_since, dry_run=dry_run)

    def _let_go(self, record: Record, tally: _Tally) -> None:
        with ExitStack() as stack:
            # Opened first: it may be freed before its members are.
            manifest = self._manifest(record, stack)
            remove_from_index(record, trees=self._trees, index=self._index)
            if not self._index.is_complete():
                # What the index does not know may name the same. It stays among the removed.
                tally.is_finished = False
                return
            self._records.forget(record.id)
            self._free_all([named.blob for named in record.named_blobs()], tally)
            if record.tree:
                self._free_tree(record.tree.manifest, manifest, tally)

    def _manifest(self, record: Record, stack: ExitStack) -> Manifest | None:
        if not record.manifest:
            return None
        try:
            return stack.enter_context(self._trees.load(record.manifest))
        except (BlobNotFound, ValueError) as error:
            logger.warning("The tree of upload %s is let go by collecting: %s", record.id, error)
            return None

    def _free_tree(self, blob: Descriptor, manifest: Manifest | None, tally: _Tally) -> None:
        """Free the manifest, then its members: who still holds the manifest may name them again."""
        is_gone = self._free_all([blob], tally)
        members = _members(manifest) if manifest else iter(())
        while some := list(itertools.islice(members, MEMBERS_AT_ONCE)):
            if is_gone:
                self._free_all(some, tally)
            else:
                for member in some:
                    tally.share(member)
        self._find_sharers(tally)

    def _free_all(self, blobs: Sequence[Descriptor], tally: _Tally) -> bool:
        """Whether all of them are gone."""
        unnamed = set(self._index.unnamed([blob.sha256 for blob in blobs]))
        if tally.despite_leases:
            self._index.end_leases(unnamed)
        are_gone = True
        for blob in blobs:
            freed = None
            if blob.sha256 in unnamed and not self._is_leased(blob.sha256, self._now()):
                freed = self._blobs.free(blob.sha256)
            if freed is None:
                are_gone = False
                tally.share(blob)
            tally.bytes_freed += freed or 0
        self._find_sharers(tally)
        return are_gone

    def _find_sharers(self, tally: _Tally) -> None:
        while tally.unexplained and len(tally.shared_with) < MOST_SHARED_WITH:
            wanted = UploadFilter(contents=(tally.unexplained.pop(),))
            found = self._index.find_uploads(wanted, limit=MOST_SHARED_WITH)
            tally.shared_with |= dict.fromkeys(found.ids)


class _Tally:
    """What was freed so far; shared contents count once."""

    def __init__(self, *, despite_leases: bool) -> None:
        self.despite_leases = despite_leases
        self.bytes_freed = 0
        self.bytes_shared = 0
        self.shared_with: dict[UploadId, None] = {}
        self.unexplained: list[Digest] = []
        self.is_finished = True
        self._seen: set[bytes] = set()

    def share(self, blob: Descriptor) -> None:
        """Count a blob that stays. The empty one is everybody's."""
        identity = blob.sha256
        if identity == EMPTY or identity.value in self._seen:
            return
        self._seen.add(identity.value)
        self.bytes_shared += blob.size
        # A few will do to name who shares.
        if len(self.unexplained) < MOST_SHARED_WITH:
            self.unexplained.append(identity)

    def freed(self) -> Freed:
        """The answer."""
        sharers = tuple(self.shared_with)[:MOST_SHARED_WITH]
        return Freed(self.bytes_freed, self.bytes_shared, sharers, self.is_finished)


def _members(manifest: Manifest) -> Iterator[Descriptor]:
    entries: Iterable[Descriptor | None] = (entry.blob for entry in manifest.entries)
    return (blob for blob in entries if blob)
