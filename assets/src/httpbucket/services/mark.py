"""Mark uploads that are to be kept, whatever their time says."""

from __future__ import annotations

from dataclasses import replace

from httpbucket.domain.upload import Record, UploadId
from httpbucket.services.load_record import load_record
from httpbucket.storage.base import Records


class Mark:
    """Sets the mark in an upload's record."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def look(self, upload: UploadId) -> Record:
        """The record. Raises `UploadNotFound` or `DamagedRecord`."""
        return load_record(self._records, upload)

    def set(self, upload: UploadId, *, keep: bool) -> Record:
        """Keep an upload for ever, or no longer; the record then. May be repeated."""
        self.look(upload)
        return self._records.amend(upload, lambda record: replace(record, keep=keep))
