"""Browse shows what is kept."""

from __future__ import annotations

from typing import BinaryIO

from httpbucket.domain.digest import Digest
from httpbucket.domain.upload import Record, UploadId
from httpbucket.storage.base import BlobStore, Records


class Browse:
    """Reads uploads and contents."""

    def __init__(self, *, blobs: BlobStore, records: Records) -> None:
        self._blobs = blobs
        self._records = records

    def upload(self, upload: UploadId) -> Record:
        """The record of an upload. Raises `UploadNotFound`."""
        return self._records.load(upload)

    def content(self, blob: Digest) -> BinaryIO:
        """A reader of the content, seekable. The caller closes it. Raises `BlobNotFound`."""
        return self._blobs.open(blob)
