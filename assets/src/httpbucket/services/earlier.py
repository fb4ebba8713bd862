"""What earlier uploads know of a content, so that nothing is decompressed or unpacked twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from httpbucket.content.archive import UNPACKER_VERSION
from httpbucket.content.decompress import TRAILING_BYTES
from httpbucket.content.limits import UnpackLimits
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import (
    BlobNotFound,
    IndexNotReady,
    StorageUnavailable,
    UploadNotFound,
)
from httpbucket.domain.manifest import ManifestHeader
from httpbucket.domain.upload import Finding, Record, Tree
from httpbucket.storage.base import BlobStore, Index, Records, TreeStore


class EarlierUploads:
    """Answers from the records that the index points at; knows nothing when in doubt.

    An upload of a time when other ``digests`` were recorded is passed over: a receipt shows them
    all, and any of them may be asked for.
    """

    def __init__(
        self,
        *,
        index: Index,
        records: Records,
        blobs: BlobStore,
        trees: TreeStore,
        digests: Sequence[str],
    ) -> None:
        self._index = index
        self._records = records
        self._blobs = blobs
        self._trees = trees
        self._digests = frozenset(digests)

    def decompressed(self, source: Digest) -> tuple[Descriptor, tuple[Finding, ...]] | None:
        """What ``source`` decompressed to, and the findings of that."""
        for record in self._records_of(source):
            inside = record.decompressed if _is_of(record, source) else None
            if inside and self._serves(inside.blob):
                of_tree = self._findings_of_tree(record)
                if of_tree is not None:
                    told = (one for one in record.findings if one.problem == TRAILING_BYTES)
                    return inside.blob, tuple(one for one in told if one not in of_tree)
        return None

    def tree(self, source: Digest, limits: UnpackLimits) -> tuple[Tree, tuple[Finding, ...]] | None:
        """The tree that ``source`` unpacks to under these ``limits``, and its findings."""
        for record in self._records_of(source):
            tree = record.tree
            header = self._header(tree) if tree else None
            if tree and header and self._is_current(tree, header, source, limits):
                return tree, header.findings
        return None

    def _records_of(self, source: Digest) -> Iterator[Record]:
        with suppress(IndexNotReady):
            for upload in self._index.find_unpacked(source):
                with suppress(UploadNotFound, StorageUnavailable, ValueError):
                    yield self._records.load(upload)

    def _findings_of_tree(self, record: Record) -> tuple[Finding, ...] | None:
        """The findings that came with the record's tree; None when that cannot be told."""
        if not record.tree:
            return ()
        header = self._header(record.tree)
        return header.findings if header else None

    def _header(self, tree: Tree) -> ManifestHeader | None:
        try:
            with self._trees.load(tree.manifest.sha256) as manifest:
                return manifest.header
        except (BlobNotFound, StorageUnavailable, ValueError):
            return None

    def _is_current(
        self, tree: Tree, header: ManifestHeader, source: Digest, limits: UnpackLimits
    ) -> bool:
        """Whether unpacking anew would give the same; members have their manifest's digests."""
        rules = (header.source, header.unpacker, dict(header.limits))
        current = (source, UNPACKER_VERSION, limits.as_mapping())
        return rules == current and self._has_digests(tree.manifest)

    def _serves(self, blob: Descriptor) -> bool:
        return self._has_digests(blob) and self._blobs.size(blob.sha256) == blob.size

    def _has_digests(self, blob: Descriptor) -> bool:
        return self._digests <= blob.digests.keys()


def _is_of(record: Record, source: Digest) -> bool:
    return record.uploaded is not None and record.uploaded.blob.sha256 == source
