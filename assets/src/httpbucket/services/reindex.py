"""Reindex brings the index to agree with the records."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import datetime, timedelta

from httpbucket.domain.errors import BlobNotFound, UploadNotFound
from httpbucket.domain.upload import Record, UploadId
from httpbucket.storage.base import Index, Records, TreeStore

logger = logging.getLogger(__name__)

#: So far a clock may have been set back while uploads came, without a record being overlooked.
CLOCK_ALLOWANCE = timedelta(days=2)


class Reindex:
    """Reads the records that the index lacks; never the bytes of a blob."""

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

    def catch_up(self, *, may_go_on: Callable[[], bool] = lambda: True) -> bool:
        """Take in every record that the index lacks, from the day on up to which it agrees.

        Asks ``may_go_on`` before each record and stops when it says no. Returns whether the index
        is complete now; when it is not, another call goes on.
        """
        agreed_day = f"{self._now() - CLOCK_ALLOWANCE:%Y/%m/%d}"
        missing = self._missing(self._records.ids(since_day=self._index.agreed_day()))
        for upload in missing:
            if not may_go_on():
                return False
            self._take_in(upload)
        self._index.mark_complete(agreed_day=agreed_day)
        return True

    def _missing(self, uploads: Iterable[UploadId]) -> Iterable[UploadId]:
        return (upload for upload in uploads if not self._index.has_upload(upload))

    def _take_in(self, upload: UploadId) -> None:
        try:
            self._add(self._records.load(upload))
        except UploadNotFound:
            logger.info("Upload %s went while the index was catching up.", upload)
        except ValueError as error:
            logger.error("Upload %s is left out of the index: %s", upload, error)

    def _add(self, record: Record) -> None:
        """With its tree, or without one that cannot be read: what was uploaded is known still."""
        try:
            self._add_with_tree(record)
        except (ValueError, BlobNotFound) as error:
            logger.error("The tree of upload %s is left out of the index: %s", record.id, error)
            self._index.add(record, None)

    def _add_with_tree(self, record: Record) -> None:
        with ExitStack() as stack:
            digest = record.manifest
            manifest = stack.enter_context(self._trees.load(digest)) if digest else None
            self._index.add(record, manifest)
