"""What earlier uploads know of a content, so that nothing is decompressed or unpacked twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from httpbucket.content.archive import UNPACKER_VERSION
from httpbucket.content.decompress import TRAILING_BYTES
from httpbucket.content.limits import UnpackLimits
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound, IndexNotReady, UploadNotFound
from httpbucket.domain.manifest import ManifestHeader
from httpbucket.domain.upload import Finding, Record, Tree
from httpbucket.storage.base import BlobStore, Index, Records, TreeStore


class EarlierUploads:
    """Answers from the records that the index points at; knows nothing when in doubt."""

    def __init__(
        self, *, index: Index, records: Records, blobs: BlobStore, trees: TreeStore
    ) -> None:
        self._index = index
        self._records = records
        self._blobs = blobs
        self._trees = trees

    def decompressed(self, source: Digest) -> tuple[Descriptor, tuple[Finding, ...]] | None:
        """What ``source`` decompressed to, and the findings of that."""
        for record in self._records_of(source):
            inside = record.decompressed
            if inside and record.uploaded.blob.sha256 == source and self._is_kept(inside.blob):
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
            if tree and header and _is_current(header, source, limits):
                return tree, header.findings
        return None

    def _records_of(self, source: Digest) -> Iterator[Record]:
        with suppress(IndexNotReady):
            for upload in self._index.find_unpacked(source):
                with suppress(UploadNotFound, ValueError):
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
        except (BlobNotFound, ValueError):
            return None

    def _is_kept(self, blob: Descriptor) -> bool:
        return self._blobs.size(blob.sha256) == blob.size


def _is_current(header: ManifestHeader, source: Digest, limits: UnpackLimits) -> bool:
    rules = (header.source, header.unpacker, dict(header.limits))
    return rules == (source, UNPACKER_VERSION, limits.as_mapping())
