"""The public JSON: receipts, uploads and the configuration, as the reference documents them."""

from __future__ import annotations

import functools
from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpbucket
from httpbucket.config import Settings
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.freed import Freed
from httpbucket.domain.upload import NamedBlob, Receipt, Record
from httpbucket.web.checksum_lists import MOST_CHECKSUMS


def blob_path(digest: Digest) -> str:
    """The path of a blob below the store, which is also its path below the server."""
    return f"blob/{digest.hex[:2]}/{digest.hex[2:4]}/{digest.hex}"


@dataclass(frozen=True)
class Presenter:
    """Shows values as the operator set it: which digest is the checksum, where paths begin."""

    settings: Settings

    def receipt(self, receipt: Receipt) -> dict[str, Any]:
        """What a client is told after an upload."""
        return self.upload(receipt.record) | {"log": list(receipt.log)}

    def upload(self, record: Record) -> dict[str, Any]:
        """The same of an upload of earlier; without the log, which is told once."""
        uploaded = record.uploaded
        return {
            "checksum": {
                "blob": self._checksum(uploaded),
                "decompressed": self._checksum(record.decompressed),
                "archive": self._checksum(record.archive_file),
            },
            "path": {
                "blob": self._blob_location(uploaded),
                "decompressed": self._blob_location(record.decompressed),
                "archive": self._tree_location(record),
                "replicas": [self._location(one.path) for one in record.replicas] or None,
                "upload": self._location(record.id.directory),
                "file": self._location(record.path_of(uploaded.name)) if uploaded else None,
            },
            "code": 200,
            "status": "Success",
            "upload": {
                "id": str(record.id),
                "filename": record.name,
                "size": record.size,
                "media_type": uploaded.blob.media_type if uploaded else None,
                "digests": dict(uploaded.blob.digests) if uploaded else {},
                "expires": record.expires.isoformat() if record.expires else None,
                "keep": record.keep,
                "replicas": [replica.to_json() for replica in record.replicas],
                "findings": [finding.to_json() for finding in record.findings],
            },
        }

    def freed(self, path: str, freed: Freed) -> dict[str, Any]:
        """What is told of something that was deleted."""
        return {
            "code": 200,
            "status": "Success",
            "deleted": path,
            "bytes_freed": freed.bytes_freed,
            "bytes_shared": freed.bytes_shared,
            "shared_with": [str(upload) for upload in freed.shared_with],
            "finished": freed.is_finished,
        }

    def configuration(self) -> dict[str, Any]:
        """What a client should know before it sends. Holds no secret."""
        settings = self.settings
        return {
            "version": httpbucket.__version__,
            "MAX_CONTENT_LENGTH": settings.max_content_length,
            "ARCHIVE_DIR": str(settings.archive_dir),
            "ARCHIVE_URI": settings.archive_uri or None,
            "CHECKSUM_TYPE": settings.checksum_type,
            "DIGESTS": list(settings.digests),
            "REPLICATES": [str(template) for template in settings.templates],
            "RETENTION_DAYS": settings.retention.days,
            "RETENTION_MAX_DAYS": settings.retention.max_days,
            "LEASE_SECONDS": settings.lease_seconds,
            "MOST_CHECKSUMS": MOST_CHECKSUMS,
            "UNPACK_MAX_BYTES": settings.unpack_max_bytes,
            "UNPACK_MAX_MEMBERS": settings.unpack_max_members,
            "UNPACK_MAX_RATIO": settings.unpack_max_ratio,
            "UNPACK_MAX_DEPTH": settings.unpack_max_depth,
            "UNPACK_MAX_PATH": settings.unpack_max_path,
            "UNPACK_MAX_SECONDS": settings.unpack_max_seconds,
            "UNPACK_NOT": list(settings.unpack_not),
            "ANONYMOUS": list(settings.anonymous),
            "UNDO_SECONDS": settings.undo_seconds,
        }

    def _checksum(self, named: NamedBlob | None) -> str | None:
        return named.blob.digests.get(self.settings.checksum_type) if named else None

    def _blob_location(self, named: NamedBlob | None) -> str | None:
        return self._location(blob_path(named.blob.sha256)) if named else None

    def _tree_location(self, record: Record) -> str | None:
        tree = record.tree
        return self._location(record.path_of(tree.name)) if tree else None

    def address(self, path: str) -> str:
        """The path below ``ARCHIVE_URI``; empty where that is not set."""
        start = self.settings.archive_uri
        if start.startswith("/"):
            return f"file://{quote(start)}/{quote(path)}"
        return f"{start}/{quote(path)}" if start else ""

    def _location(self, path: str) -> str:
        """Relative to the store and the server alike; absolute where ``ARCHIVE_URI`` is set."""
        return self.address(path) or path


def repr_digest(blob: Descriptor) -> str:
    """The ``Repr-Digest`` field (RFC 9530, 3): the digests that RFC has names for, as base64."""
    return _digest_fields(tuple(blob.digests.items()))[0]


def instance_digest(blob: Descriptor) -> str:
    """The ``Digest`` field (RFC 3230, 4.3.2), which ``Repr-Digest`` replaced and aria2 checks."""
    return _digest_fields(tuple(blob.digests.items()))[1]


@functools.lru_cache(maxsize=256)
def _digest_fields(digests: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    values = {name: b64encode(bytes.fromhex(value)).decode() for name, value in digests}
    modern = {"sha256": "sha-256", "sha512": "sha-512"}
    old = {"sha256": "SHA-256", "sha512": "SHA-512", "md5": "MD5"}
    return (
        ", ".join(f"{modern[name]}=:{values[name]}:" for name in modern if name in values),
        ",".join(f"{old[name]}={values[name]}" for name in old if name in values),
    )
