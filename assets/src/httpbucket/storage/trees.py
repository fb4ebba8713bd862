"""Trees for every backend that keeps blobs: a manifest is itself a blob."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from httpbucket.domain.digest import Digest
from httpbucket.domain.manifest import read_manifest
from httpbucket.storage.base import BlobStore, Manifest, StagedFile


class BlobTreeStore:
    """Manifests among the blobs of ``blobs``."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def keep(self, manifest: StagedFile, digest: Digest) -> None:
        self._blobs.keep(manifest, digest)

    @contextmanager
    def load(self, digest: Digest) -> Iterator[Manifest]:
        with self._blobs.open(digest) as reader:
            yield Manifest(*read_manifest(reader))
