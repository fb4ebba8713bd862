"""Facts about files by their public names: what records and manifests say of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from httpbucket.content.manifest_search import ManifestSearch
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound, IndexNotReady, UploadNotFound
from httpbucket.domain.public_path import PublicPath
from httpbucket.domain.replica import ReplicaName
from httpbucket.domain.upload import Part, Record, UploadId
from httpbucket.storage.base import BlobStore, Index, Records

logger = logging.getLogger(__name__)

_PARTS_OF_AN_UPLOAD = 5


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a file: its content, when that was changed last, and when it came.

    ``packed`` is the compressed form that the file was uploaded in.
    """

    blob: Descriptor
    modified: datetime
    received: datetime
    executable: bool = False
    packed: Descriptor | None = None
    #: The upload whose record says so.
    upload: UploadId | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in an upload a path leads: to a part of it, and there to ``rest``."""

    record: Record
    part: Part
    rest: tuple[str, ...]


class FactFinder:
    """Finds facts for one request; names that are asked for in order are found faster.

    Use it as a context manager, which closes the manifest that was read last.
    """

    def __init__(self, *, records: Records, blobs: BlobStore, index: Index) -> None:
        self._records = records
        self._blobs = blobs
        self._index = index
        self._uploads: dict[str, Record | None] = {}
        self._manifest: tuple[Digest, ManifestSearch] | None = None
        self._upload: tuple[tuple[str, ...], Record | None] = ((), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close_manifest()

    def find(self, path: PublicPath) -> Facts | None:
        """The facts of a file; ``path`` holds no link. None for what no upload names.

        Raises `IndexNotReady` for a replica whose upload the index may not know yet.
        """
        place = self._in_archive(path) if path.parts[0] == "archive" else self._in_replica(path)
        if place is None:
            return None
        try:
            return self._facts(place)
        except (ValueError, BlobNotFound) as error:
            logger.error("The manifest of upload %s cannot be read: %s", place.record.id, error)
            return None

    def upload_of(self, path: PublicPath) -> Record | None:
        """The upload that a path leads into, or whose directory it is."""
        if path.parts[0] == "archive":
            return self._upload_at(path.parts[:_PARTS_OF_AN_UPLOAD])
        place = self._in_replica(path)
        return place.record if place else None

    def _in_archive(self, path: PublicPath) -> _Place | None:
        record = self._upload_at(path.parts[:_PARTS_OF_AN_UPLOAD])
        names = path.parts[_PARTS_OF_AN_UPLOAD:]
        if record is None:
            return None
        folder = tuple(filter(None, record.folder.split("/")))
        if names[: len(folder)] != folder or len(names) == len(folder):
            return None
        names = names[len(folder) :]
        part = _part_named(record, names[0])
        return _Place(record, part, names[1:]) if part else None

    def _upload_at(self, parts: tuple[str, ...]) -> Record | None:
        """The record of the upload in this directory, remembered until another one is asked for."""
        if self._upload[0] != parts:
            self._upload = (parts, self._load_at(parts))
        return self._upload[1]

    def _load_at(self, parts: tuple[str, ...]) -> Record | None:
        if len(parts) < _PARTS_OF_AN_UPLOAD:
            return None
        try:
            upload = UploadId.parse(parts[-1])
        except UploadNotFound:
            return None
        return self._load(upload) if upload.directory == "/".join(parts) else None

    def _in_replica(self, path: PublicPath) -> _Place | None:
        for depth, part in enumerate(path.parts, start=1):
            if not ReplicaName.parse(part):
                continue
            name = "/".join(path.parts[:depth])
            upload = self._index.find_replica(name)
            record = self._load(upload) if upload else None
            for replica in record.replicas if record else ():
                if record and replica.path == name:
                    return _Place(record, replica.part, path.parts[depth:])
            if record is None and not self._index.is_complete():
                raise IndexNotReady("The index is being rebuilt; ask again in a few seconds.")
        return None

    def _load(self, upload: UploadId) -> Record | None:
        """The record, remembered until another one is asked for."""
        if str(upload) not in self._uploads:
            self._uploads.clear()
            try:
                self._uploads[str(upload)] = self._records.load(upload)
            except (UploadNotFound, ValueError):
                self._uploads[str(upload)] = None
        return self._uploads[str(upload)]

    def _facts(self, place: _Place) -> Facts | None:
        record = place.record
        if place.part == "tree":
            return self._member(record, "/".join(place.rest))
        named = record.named_part(place.part)
        if named is None or place.rest:
            return None
        is_inside = place.part == "decompressed"
        packed = record.uploaded.blob if record.uploaded and is_inside else None
        return Facts(named.blob, record.received, record.received, packed=packed, upload=record.id)

    def _member(self, record: Record, path: str) -> Facts | None:
        digest = record.manifest
        entry = self._search(digest).find(path) if digest and path else None
        if entry is None or entry.blob is None:
            return None
        # A producer's clock may be ahead of ours, and files may be older than time.
        seconds = min(max(entry.mtime, 0.0), record.received.timestamp())
        # Of files that came one by one no time is known but that.
        is_known = record.uploaded is not None
        modified = datetime.fromtimestamp(seconds, UTC) if is_known else record.received
        executable = entry.executable
        return Facts(entry.blob, modified, record.received, executable, upload=record.id)

    def _search(self, digest: Digest) -> ManifestSearch:
        if self._manifest is None or self._manifest[0] != digest:
            self._close_manifest()
            self._manifest = (digest, ManifestSearch(self._blobs.open(digest)))
        return self._manifest[1]

    def _close_manifest(self) -> None:
        if self._manifest is not None:
            self._manifest[1].close()
            self._manifest = None


def _part_named(record: Record, name: str) -> Part | None:
    if record.tree and name == record.tree.name:
        return "tree"
    if record.decompressed and name == record.decompressed.name:
        return "decompressed"
    return "uploaded" if record.uploaded and name == record.uploaded.name else None
