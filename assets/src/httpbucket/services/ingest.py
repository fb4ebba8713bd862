"""Ingest turns a staged file into an upload."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from httpbucket.content.crew import Crew
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.errors import ContentVanished, StorageUnavailable
from httpbucket.domain.filename import kept_filename
from httpbucket.domain.size import show_size
from httpbucket.domain.unpacking import UnpackWish
from httpbucket.domain.upload import NamedBlob, Receipt, Record, UploadId
from httpbucket.services.receive import Act, IncomingFile
from httpbucket.services.reindex import add_to_index
from httpbucket.services.replicate import ReplicaPlan, Replicate
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
        replicate: Replicate,
        media_type_of: Callable[[bytes], str],
        digests: Sequence[str],
        max_content_length: int,
        now: Callable[[], datetime],
        random_bits: Callable[[], int],
        on_index_gap: Callable[[], None],
        crew: Crew | None = None,
    ) -> None:
        self._staging = staging
        self._blobs = blobs
        self._trees = trees
        self._records = records
        self._index = index
        self._unpack = unpack
        self._replicate = replicate
        self._media_type_of = media_type_of
        self._digests = digests
        self._max_content_length = max_content_length
        self._now = now
        self._random_bits = random_bits
        self._on_index_gap = on_index_gap
        self._crew = crew

    @property
    def headers(self) -> tuple[str, ...]:
        """The request headers that `keep` wants to know, in lower case, beside ``meta-`` ones."""
        return self._replicate.headers

    def begin(self) -> Act:
        """A new act of a client, to receive its files with."""
        return Act(self._staging, self._digests, limit=self._max_content_length, crew=self._crew)

    def keep(
        self,
        incoming: IncomingFile,
        filename: str | None,
        *,
        wish: UnpackWish = UnpackWish.AUTO,
        headers: Mapping[str, str] | None = None,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> Receipt:
        """Keep a file that came whole as an upload; when this returns it survives power loss.

        ``wish`` and ``is_gone`` are as for `Unpack.inside`; ``headers``, by name in lower case, are
        what templates are filled with and the record keeps. Raises `EmptyFilename`, what that
        raises, and what the ports raise; then nothing of it stays, unless it is only replicas that
        could not be made: then the upload stays, and they are made as `HeldDirectories.make` says.
        """
        name = kept_filename(filename)
        blob = incoming.describe(self._media_type_of)
        uploaded = NamedBlob(name, blob)
        log = [f"Received {name!r}: {show_size(blob.size)}, {blob.media_type}."]
        if name != filename:
            log.append(f"The name {_shown(filename)} was changed to {name!r}.")

        def attempt(*, anew: bool) -> Receipt:
            inside = self._unpack.inside(incoming, uploaded, wish=wish, is_gone=is_gone, anew=anew)
            with inside as unpacked:
                steps = [*log, self._keep_blob(incoming, blob)]
                try:
                    return self._finish(uploaded, unpacked, headers or {}, steps)
                except ContentVanished as error:
                    if not unpacked.is_tree_of_earlier:
                        raise
                    logger.error("%s The archive file %s is unpacked anew.", error, name)
            return attempt(anew=True)

        return attempt(anew=False)

    def _finish(
        self,
        uploaded: NamedBlob,
        unpacked: Unpacked,
        headers: Mapping[str, str],
        steps: Sequence[str],
    ) -> Receipt:
        unpacked.keep(self._blobs, self._trees)
        plan = self._replicate.plan(headers)
        record = self._record(uploaded, unpacked, headers)
        record = self._publish(plan, record)
        log = [*steps, *unpacked.log, f"Recorded as upload {record.id}.", *plan.log]
        log += [f"Replica {one.path}, now {', '.join(one.latest)}." for one in record.replicas]
        return Receipt(record, tuple(log))

    def _keep_blob(self, incoming: IncomingFile, blob: Descriptor) -> str:
        is_new = self._blobs.keep(incoming.staged, blob.sha256)
        return f"Kept as {blob.sha256}." if is_new else f"Known already as {blob.sha256}."

    def _record(
        self, uploaded: NamedBlob, unpacked: Unpacked, headers: Mapping[str, str]
    ) -> Record:
        now = self._now()
        return Record(
            UploadId.new(now, self._random_bits()),
            now,
            uploaded,
            decompressed=unpacked.decompressed,
            tree=unpacked.tree,
            findings=tuple(unpacked.findings),
            headers=dict(headers),
        )

    def _publish(self, plan: ReplicaPlan, record: Record) -> Record:
        """Publish, with replicas; the index learns of what was published though these may fail."""
        published: list[Record] = []

        def publish(final: Record) -> None:
            self._records.publish(final)
            published.append(final)

        try:
            return self._replicate.publish(plan, record, publish)
        except ContentVanished as error:
            if not published:
                raise
            # Not to be mistaken for a tree that can be unpacked anew: the upload is there.
            raise StorageUnavailable(str(error)) from error
        finally:
            for one in published:
                self._add_to_index(one)

    def _add_to_index(self, record: Record) -> None:
        """Not part of the promise: what the index lacks, it reads from the records again."""
        try:
            add_to_index(record, trees=self._trees, index=self._index)
        except Exception:
            logger.exception("Upload %s is kept, but the index did not take it in.", record.id)
            self._on_index_gap()


def _shown(filename: str | None) -> str:
    text = filename or ""
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
