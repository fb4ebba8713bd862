"""The members of archive files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from httpbucket.domain.digest import Digest
from httpbucket.domain.manifest import ManifestEntry, ManifestHeader
from httpbucket.storage.base.staging import StagedFile


@dataclass(frozen=True)
class Manifest:
    """A manifest that is being read: the header, and the entries once, as they are read."""

    header: ManifestHeader
    entries: Iterator[ManifestEntry]


class TreeStore(Protocol):
    """The trees that archive files unpack to. A tree is its manifest; a manifest is a blob."""

    def keep(self, manifest: StagedFile, digest: Digest) -> None:
        """Keep a manifest, as `BlobStore.keep` does.

        The caller promises that every blob it names is kept.
        """
        ...

    def load(self, digest: Digest) -> AbstractContextManager[Manifest]:
        """Read a manifest. Raises `BlobNotFound`, or ValueError for a blob that is none."""
        ...
