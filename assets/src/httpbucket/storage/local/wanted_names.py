"""Which names a record says that there should be, and what they should show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.errors import BlobNotFound
from httpbucket.domain.upload import Record, Replica, Tree, UploadId
from httpbucket.storage.base import TreeStore
from httpbucket.storage.local.layout import MANIFEST_NAME


@dataclass(frozen=True)
class WantedName:
    """A path that should show a blob; ``replica`` is the one that it belongs to, if any."""

    upload: UploadId
    path: str
    blob: Descriptor
    replica: Replica | None = None

    @property
    def directory(self) -> str:
        """Where it lies, relative to the store's root."""
        return self.path.rpartition("/")[0]

    @property
    def last(self) -> str:
        """The name itself."""
        return self.path.rpartition("/")[2]


def names_of_upload(record: Record, trees: TreeStore) -> Iterator[WantedName]:
    """Those in the upload's own directory."""
    if record.tree:
        # First, for the other names of the tree are read from it.
        manifest = f"{record.id.directory}/{MANIFEST_NAME}"
        yield WantedName(record.id, manifest, record.tree.manifest)
        for path, blob in _members(record.tree, record.path_of(record.tree.name), trees):
            yield WantedName(record.id, path, blob)
    for named in record.named_blobs():
        yield WantedName(record.id, record.path_of(named.name), named.blob)


def names_of_replica(record: Record, replica: Replica, trees: TreeStore) -> Iterator[WantedName]:
    """That of a file, or those of a tree."""
    if named := record.named_part(replica.part):
        yield WantedName(record.id, replica.path, named.blob, replica)
    elif record.tree:
        for path, blob in _members(record.tree, replica.path, trees):
            yield WantedName(record.id, path, blob, replica)


def _members(tree: Tree, path: str, trees: TreeStore) -> Iterator[tuple[str, Descriptor]]:
    # A manifest that is gone or rotten leaves nothing to go by; scrub tells of it.
    with suppress(BlobNotFound, ValueError), trees.load(tree.manifest.sha256) as manifest:
        for entry in manifest.entries:
            if entry.blob:
                yield f"{path}/{entry.path}", entry.blob
