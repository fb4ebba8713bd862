"""Reading one record for whoever asked for that upload."""

from __future__ import annotations

from httpbucket.domain.errors import DamagedRecord
from httpbucket.domain.upload import Record, UploadId
from httpbucket.storage.base import Records


def load_record(records: Records, upload: UploadId) -> Record:
    """The record of an upload. Raises `UploadNotFound` or `DamagedRecord`."""
    try:
        return records.load(upload)
    except ValueError as error:
        raise DamagedRecord(f"The record of upload {upload} is damaged.") from error
