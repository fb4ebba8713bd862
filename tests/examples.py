"""Small values that tests of several packages need: descriptors, ids and records of contents."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import EMPTY, Digest, sha256
from httpbucket.domain.manifest import ManifestEntry, ManifestHeader, manifest_lines
from httpbucket.domain.upload import NamedBlob, Record, Tree, UploadId
from httpbucket.storage.base import BlobStore, StagedFile, Staging
from httpbucket.wiring import Stores

NOW = datetime(2026, 11, 21, 14, 32, 5, 812000, tzinfo=UTC)
DIGESTS = ("md5", "sha256", "sha512")


def identity(content: bytes) -> Digest:
    """The SHA-256 of a content."""
    return sha256(hashlib.sha256(content).hexdigest())


def descriptor(content: bytes, *, algorithms: Sequence[str] = DIGESTS) -> Descriptor:
    """What ingest would find out about a content."""
    digests = {name: hashlib.new(name, content).hexdigest() for name in algorithms}
    return Descriptor(
        digests | {"sha256": identity(content).hex}, len(content), zlib.crc32(content), "text/plain"
    )


def upload_id(number: int = 0, *, days: int = 0) -> UploadId:
    """An id of its own for each number, so many days after `NOW`."""
    return UploadId.new(NOW + timedelta(days=days), number)


def file_of(record: Record) -> NamedBlob:
    """The file that was uploaded, of an upload that is no tree of files."""
    assert record.uploaded is not None
    return record.uploaded


def record_of(
    blob: Descriptor, *, number: int = 0, days: int = 0, name: str = "results.xml"
) -> Record:
    """The record of an upload of ``blob``."""
    return Record(upload_id(number, days=days), NOW + timedelta(days=days), NamedBlob(name, blob))


def stage(staging: Staging, content: bytes) -> StagedFile:
    """A staged file that holds ``content``."""
    staged = staging.create()
    staged.write(content)
    return staged


def keep(stores: Stores, content: bytes) -> Descriptor:
    """Keep a content as a blob, and describe it."""
    keep_staged(stores, content)
    return descriptor(content)


def keep_staged(stores: Stores, content: bytes) -> bool:
    """Keep a content as a blob that nothing holds; whether it is new."""
    staged = stage(stores.staging, content)
    is_new = stores.blobs.keep(staged, identity(content))
    staged.discard()
    return is_new


def keep_manifest(stores: Stores, tree: Tree, manifest: bytes) -> None:
    """Keep the manifest that `tree_of` gave."""
    staged = stage(stores.staging, manifest)
    stores.trees.keep(staged, tree.manifest.sha256)
    staged.discard()


def keep_upload(stores: Stores, content: bytes, *, number: int = 0, days: int = 0) -> Record:
    """Keep a content and publish its record, without telling the index."""
    record = record_of(keep(stores, content), number=number, days=days)
    stores.records.publish(record)
    return record


def tree_of(source: bytes, members: Sequence[ManifestEntry]) -> tuple[Tree, bytes]:
    """A tree that ``source`` unpacks to, and its manifest's bytes."""
    header = ManifestHeader(source=identity(source), unpacker="1")
    manifest = b"".join(manifest_lines(header, members))
    return Tree("results", descriptor(manifest), len(members), 0), manifest


def kept_blobs(blobs: BlobStore) -> list[Digest]:
    """Every blob but the empty one, which is always there."""
    return sorted(set(blobs.digests()) - {EMPTY})
