"""What deleting gave back."""

from __future__ import annotations

from dataclasses import dataclass

from httpbucket.domain.upload import UploadId


@dataclass(frozen=True, slots=True)
class Freed:
    """Bytes on the disk that were freed, and those that stay though the upload is gone.

    ``shared_with`` are a few of the uploads that name what stays. Bytes may also stay because
    another upload is just arriving with them, or because somebody linked them beside the store.
    Unless ``is_finished``, the upload is gone and the rest of the work is done later.
    """

    bytes_freed: int
    bytes_shared: int
    shared_with: tuple[UploadId, ...] = ()
    is_finished: bool = True
