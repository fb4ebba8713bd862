"""Ingest turns a staged file into an upload."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.errors import BucketError
from httpbucket.domain.filename import kept_filename
from httpbucket.domain.size import show_size
from httpbucket.domain.unpacking import UnpackWish
from httpbucket.domain.upload import NamedBlob, Receipt, Record, UploadId
from httpbucket.services.receive import Act, IncomingFile
from httpbucket.services.reindex import add_to_index
from httpbucket.services.unpack import Unpack, Unpacked
from httpbucket.storage.base import BlobStore, Index, Records, Staging, TreeStore

logger = logging.getLogger(__name__)


class Ingest:
    """Keeps what clients send.

    The order is the promise: the content lasts before anything names it, the record lasts before
    the receipt is given, and the index, which can be made again, comes last.
    """

    def __init__(
        self,
        *,
        staging: Staging,
        blobs: BlobStore,
        trees: TreeStore,
        records: Records,
        index: Index,
        unpack: Unpack,
        media_type_of: Callable[[bytes], str],
        digests: Sequence[str],
        max_content_length: int,
        now: Callable[[], datetime],
        random_bits: Callable[[], int],
        on_index_gap: Callable[[], None],
    ) -> None:
        self._staging = staging
        self._blobs = blobs
        self._trees = trees
        self._records = records
        self._index = index
        self._unpack = unpack
        self._media_type_of = media_type_of
        self._digests = digests
        self._max_content_length = max_content_length
        self._now = now
        self._random_bits = random_bits
        self._on_index_gap = on_index_gap

    def begin(self) -> Act:
        """A new act of a client, to receive its files with."""
        return Act(self._staging, self._digests, limit=self._max_content_length)

    def keep(
        self,
        incoming: IncomingFile,
        filename: str | None,
        *,
        wish: UnpackWish = UnpackWish.AUTO,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> Receipt:
        """Keep a file that came whole as an upload; when this returns it survives power loss.

        ``wish`` and ``is_gone`` are as for `Unpack.inside`. Raises `EmptyFilename`, what that
        raises, and what the ports raise; then nothing of it stays.
        """
        name = kept_filename(filename)
        blob = incoming.describe(self._media_type_of)
        uploaded = NamedBlob(name, blob)
        log = [f"Received {name!r}: {show_size(blob.size)}, {blob.media_type}."]
        if name != filename:
            log.append(f"The name {_shown(filename)} was changed to {name!r}.")
        with self._unpack.inside(incoming, uploaded, wish=wish, is_gone=is_gone) as unpacked:
            log.append(self._keep_blob(incoming, blob))
            unpacked.keep(self._blobs, self._trees)
            record = self._publish(uploaded, unpacked)
        log += [*unpacked.log, f"Recorded as upload {record.id}."]
        return Receipt(record, tuple(log))

    def _keep_blob(self, incoming: IncomingFile, blob: Descriptor) -> str:
        is_new = self._blobs.keep(incoming.staged, blob.sha256)
        return f"Kept as {blob.sha256}." if is_new else f"Known already as {blob.sha256}."

    def _publish(self, uploaded: NamedBlob, unpacked: Unpacked) -> Record:
        now = self._now()
        record = Record(
            UploadId.new(now, self._random_bits()),
            now,
            uploaded,
            decompressed=unpacked.decompressed,
            tree=unpacked.tree,
            findings=tuple(unpacked.findings),
        )
        self._records.publish(record)
        self._add_to_index(record)
        return record

    def _add_to_index(self, record: Record) -> None:
        """Not part of the promise: what the index lacks, it reads from the records again."""
        try:
            add_to_index(record, trees=self._trees, index=self._index)
        except BucketError:
            logger.exception("Upload %s is kept, but the index did not take it in.", record.id)
            self._on_index_gap()


def _shown(filename: str | None) -> str:
    text = filename or ""
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
