"""Relink makes every name show the blob that its record names."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from httpbucket.domain.errors import UploadNotFound
from httpbucket.domain.upload import UploadId
from httpbucket.storage.base import Records, Repair

logger = logging.getLogger(__name__)

#: Of so many names that nothing can fill the paths are told.
_TOLD = 100


@dataclass
class RelinkedAll:
    """What was done: uploads looked at, names made right, blobs made again, and what is lost."""

    uploads: int = 0
    names: int = 0
    blobs: int = 0
    lost: int = 0
    lost_paths: list[str] = field(default_factory=list)
    unreadable: list[UploadId] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether every upload could be read, and every name filled."""
        return not (self.lost or self.unreadable)

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it."""
        return {
            "uploads": self.uploads,
            "names": self.names,
            "blobs": self.blobs,
            "lost": self.lost,
            "lost_paths": self.lost_paths,
            "unreadable": [str(upload) for upload in self.unreadable],
        }


class Relink:
    """For a store that was copied without its hardlinks, or whose names were tampered with."""

    def __init__(self, *, records: Records, repair: Repair) -> None:
        self._records = records
        self._repair = repair

    def run(
        self,
        *,
        may_go_on: Callable[[], bool] = lambda: True,
        on_upload: Callable[[UploadId], None] = lambda upload: None,
    ) -> RelinkedAll:
        """Go through every upload; it may be repeated, and the store may be in use."""
        done = RelinkedAll()
        for upload in self._records.ids():
            if not may_go_on():
                break
            self._relink(upload, done)
            on_upload(upload)
        return done

    def _relink(self, upload: UploadId, done: RelinkedAll) -> None:
        try:
            found = self._repair.relink(self._records.load(upload))
        except UploadNotFound:
            return
        except ValueError as error:
            logger.error("Upload %s cannot be read: %s", upload, error)
            done.unreadable.append(upload)
            return
        done.uploads += 1
        done.names += found.names
        done.blobs += found.blobs
        done.lost += len(found.lost)
        done.lost_paths += found.lost[: _TOLD - len(done.lost_paths)]
