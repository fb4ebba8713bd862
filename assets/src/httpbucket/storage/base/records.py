"""What is known of each upload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from httpbucket.domain.upload import Record, UploadId
from httpbucket.storage.base.blobs import BlobBatch


class Records(Protocol):
    """The uploads. A record is the only proof that something was uploaded."""

    def publish(self, record: Record, members: BlobBatch | None = None) -> None:
        """Make the upload and all its names appear, in one step, and survive power loss.

        ``members`` is a batch that is kept, to which the tree's files were added; a backend may
        make the tree of it, and what the batch holds is held by the tree then.
        The caller promises that every blob and manifest that the record names is kept, and that
        the id is new. When this raises, nothing of the upload is to be seen; `ContentVanished`
        says that something which the record or its manifest names is gone, where a backend notices.
        """
        ...

    def load(self, upload: UploadId) -> Record:
        """Read a record. Raises `UploadNotFound`, or ValueError when the record is damaged."""
        ...

    def has(self, upload: UploadId) -> bool:
        """Whether the upload is published, and not removed since."""
        ...

    def amend(self, upload: UploadId, change: Callable[[Record], Record]) -> Record:
        """Replace the record by what ``change`` makes of it, lastingly; returns that.

        Nobody else amends or removes it meanwhile, and readers see one or the other. The names of
        the upload's own files do not change. Raises as `load`.
        """
        ...

    def remove(
        self, upload: UploadId, *, only_if: Callable[[Record], bool] = lambda record: True
    ) -> Record | None:
        """Make the upload and all its names disappear, in one step that survives power loss.

        Returns its record, or None when ``only_if`` said no to it, and the upload stays. What is
        left of the upload is still kept, and it is among `removed`, until `forget` is called.
        Raises as `load`.
        """
        ...

    def removed(self) -> Iterator[Record]:
        """Uploads that were removed and are not forgotten: the work of living or dead processes."""
        ...

    def forget(self, upload: UploadId) -> None:
        """Let go of the blobs that a removed upload named. May be repeated."""
        ...

    def ids(self, *, since_day: str = "") -> Iterator[UploadId]:
        """Every upload of ``since_day`` (``2026/11/21``) or later, day by day in order of time."""
        ...
