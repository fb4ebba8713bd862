"""Reindex brings the index to agree with the records."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from httpbucket.domain.errors import BlobNotFound, UploadNotFound
from httpbucket.domain.upload import Record, UploadId
from httpbucket.storage.base import Index, Manifest, Records, TreeStore

logger = logging.getLogger(__name__)

#: Uploads of the index that are read, or forgotten, together.
UPLOADS_AT_ONCE = 500

#: So far a clock may have been set back while uploads came, without a record being overlooked.
CLOCK_ALLOWANCE = timedelta(days=2)

# Asked for one by one, the uploads of busy days would hold up every start.
_PORTION = 1000


def add_to_index(record: Record, *, records: Records, trees: TreeStore, index: Index) -> None:
    """Have the index take in an upload with its tree; unless the upload is removed meanwhile.

    A tree that cannot be read is left out, and told in the log: what was uploaded is known still.
    """
    _add(record, trees=trees, index=index)
    # Who removes an upload takes it out of the index after that, which may have been just before.
    if not records.has(record.id):
        remove_from_index(record, trees=trees, index=index)


def remove_from_index(record: Record, *, trees: TreeStore, index: Index) -> None:
    """Have the index forget an upload with its tree, whether or not that can be read."""
    _tell(index.remove, record, trees, "The tree of upload %s is removed unread: %s")


def _add(record: Record, *, trees: TreeStore, index: Index) -> None:
    _tell(index.add, record, trees, "The tree of upload %s is left out of the index: %s")


def _tell(
    take: Callable[[Record, Manifest | None], None], record: Record, trees: TreeStore, unread: str
) -> None:
    """Hand over the record with its tree; without, and with a line in the log, if unreadable."""
    digest = record.manifest
    if digest is None:
        take(record, None)
        return
    try:
        with trees.load(digest) as manifest:
            take(record, manifest)
    except (ValueError, BlobNotFound) as error:
        logger.error(unread, record.id, error)
        take(record, None)


class Reindex:
    """Reads the records that the index lacks, and has it forget those that are gone.

    The bytes of a blob are never read.
    """

    def __init__(
        self,
        *,
        records: Records,
        trees: TreeStore,
        index: Index,
        now: Callable[[], datetime],
    ) -> None:
        self._records = records
        self._trees = trees
        self._index = index
        self._now = now

    def catch_up(
        self,
        *,
        may_go_on: Callable[[], bool] = lambda: True,
        on_upload: Callable[[UploadId], None] = lambda upload: None,
    ) -> bool:
        """Make records and index agree, from the day on up to which they do.

        Asks ``may_go_on`` before each difference and stops when it says no; tells ``on_upload`` of
        each upload that was taken in. Returns whether the index is complete now; when it is not,
        another call goes on.
        """
        agreed_day = f"{self._now() - CLOCK_ALLOWANCE:%Y/%m/%d}"
        since_day = self._index.agreed_day()
        known = self._known(since_day)
        gone: list[UploadId] = []
        for upload in _differing(self._records.ids(since_day=since_day), known):
            if not may_go_on():
                return False
            # Uploads come and go meanwhile, so each is looked for again.
            if not self._index.has_upload(upload):
                self._take_in(upload)
                on_upload(upload)
            elif not self._records.has(upload):
                gone.append(upload)
                if len(gone) == UPLOADS_AT_ONCE:
                    self._forget(gone)
        self._forget(gone)
        self._index.mark_complete(agreed_day=agreed_day)
        return True

    def _known(self, since_day: str) -> Iterator[UploadId]:
        after = since_day.replace("/", "")
        while some := self._index.uploads(after=after, limit=UPLOADS_AT_ONCE):
            yield from some
            after = str(some[-1])

    def _forget(self, gone: list[UploadId]) -> None:
        """Forget them, and all of the list."""
        if gone:
            logger.warning("The index knew of %d uploads that have no record.", len(gone))
            self._index.forget_uploads(gone)
        for upload in gone:
            # A delete that failed puts back what it had taken away.
            if self._records.has(upload):
                self._take_in(upload)
        gone.clear()

    def _take_in(self, upload: UploadId) -> None:
        try:
            add_to_index(
                self._records.load(upload),
                records=self._records,
                trees=self._trees,
                index=self._index,
            )
        except UploadNotFound:
            logger.info("Upload %s went while the index was catching up.", upload)
        except ValueError as error:
            logger.error("Upload %s is left out of the index: %s", upload, error)


def _differing(one: Iterator[UploadId], other: Iterator[UploadId]) -> Iterator[UploadId]:
    """What only one of them has; both are in order, or what both have may come as well."""
    left, right = next(one, None), next(other, None)
    while left or right:
        if left == right:
            left, right = next(one, None), next(other, None)
        elif right is None or (left and left < right):
            assert left is not None
            yield left
            left = next(one, None)
        else:
            yield right
            right = next(other, None)
