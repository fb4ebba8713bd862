"""The names of blobs: who is first to take one has it; and pins, which keep blobs from being freed.

A pin is one more hardlink of a blob, in the staging of the process that is about to name it. Who
frees blobs goes by their link counts, so that a pin holds as well as a name does; and what a dead
process pinned is let go when its staging is swept.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import PUBLIC_DIRECTORY_MODE, Layout

logger = logging.getLogger(__name__)

# ext4 stops at 65,000 names, some network file systems at 177; another user's file may not be
# linked (fs.protected_hardlinks); and a file system may be put together from several.
TAKES_NO_MORE_NAMES = {errno.EMLINK, errno.EPERM, errno.EXDEV}

#: More than can come between two steps of one upload; where the staging is gone, the end of trying.
ATTEMPTS = 100


class BlobNames:
    """Gives blobs their names; what cannot be the blob goes."""

    def __init__(self, layout: Layout, disk: Disk) -> None:
        self._layout = layout
        self._disk = disk
        # Of the last blob: that of the next will probably be there, or missing, as well.
        self._directory_was_missing = False

    def path(self, digest: Digest) -> str:
        """The name, as a path."""
        return self._layout.blob_text(digest)

    def open(self, digest: Digest) -> BinaryIO:
        """As `BlobStore.open`."""
        try:
            with told_as_refusals(but=FileNotFoundError):
                # Of text, as below.
                return open(self._layout.blob_text(digest), "rb")  # noqa: PTH123
        except FileNotFoundError:
            raise BlobNotFound(f"No blob {digest} is kept.") from None

    def read_part(self, digest: Digest, start: int, size: int) -> bytes:
        """As `BlobStore.read_part`: three calls, where a reader makes six."""
        try:
            with told_as_refusals(but=FileNotFoundError):
                descriptor = os.open(self._layout.blob_text(digest), os.O_RDONLY)
                try:
                    return os.pread(descriptor, size, start)
                finally:
                    os.close(descriptor)
        except FileNotFoundError:
            raise BlobNotFound(f"No blob {digest} is kept.") from None

    def size(self, digest: Digest) -> int | None:
        """The size of what bears the name."""
        try:
            # os.stat takes text; a Path would cost more than the call.
            return os.stat(self._layout.blob_text(digest)).st_size  # noqa: PTH116
        except FileNotFoundError:
            return None

    def seems_known(self, digest: Digest) -> bool:
        """Whether something bears the name; also no when that cannot be seen.

        For who would find out anyway: of what is missing, `size` takes half as long again.
        """
        return os.access(self._layout.blob_text(digest), os.F_OK)

    def take(self, digest: Digest, size: int, link: Callable[[str], None], *, sync: bool) -> bool:
        """Give the blob's name by ``link``; False when somebody was faster with the same bytes.

        With ``sync`` directories that are made for it last; without, the caller syncs all at once.
        """
        path = self._layout.blob_text(digest)
        try:
            return self._link(path, size, link)
        except FileNotFoundError:
            self._make_parents(path, sync=sync)
            return self._link(path, size, link)

    def take_at_once(self, digest: Digest, source: str, *, keeps_modes: bool = False) -> bool:
        """As `take` without ``sync``, by a link to ``source``; in text, for those who take many.

        ``keeps_modes`` as of `Disk.make_directory`.
        """
        path = self._layout.blob_text(digest)
        if self._directory_was_missing:
            self._directory_was_missing = self._make_parent(path, keeps_modes)
        with suppress(FileExistsError):
            try:
                self._disk.link(source, path)
            except FileNotFoundError:
                self._directory_was_missing = self._make_parent(path, keeps_modes)
                self._disk.link(source, path)
            return True
        size = Path(source).stat().st_size
        return self.take(digest, size, lambda target: self._disk.link(source, target), sync=False)

    def pin(self, digest: Digest, path: Path | str) -> bool:
        """Link the blob to ``path`` in staging, so that nobody frees it; False when there is none.

        A blob that takes no more names has so many that it needs no other to stay.
        """
        try:
            self._disk.link(self._layout.blob_text(digest), path)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in TAKES_NO_MORE_NAMES:
                raise
        return True

    def sync(self, digest: Digest) -> None:
        """Return when the name would survive power loss."""
        parent = self._layout.blob_text(digest).rpartition("/")[0]
        self._disk.ensure_directory(parent, PUBLIC_DIRECTORY_MODE, below=self._layout.blobs)
        self._disk.sync_directory(parent)

    def _link(self, path: str, size: int, link: Callable[[str], None]) -> bool:
        try:
            link(path)
        except FileExistsError:
            there = Path(path)
            if there.stat().st_size == size:
                return False
            logger.error("Blob %s has the wrong size; it is moved to quarantine.", there.name)
            self._disk.rename(there, self._layout.quarantine / there.name)
            # Somebody who saw the same may be faster.
            return self._link(path, size, link)
        return True

    def _make_parents(self, path: str, *, sync: bool) -> None:
        if sync:
            parent = path.rpartition("/")[0]
            self._disk.make_missing_directory(
                parent, PUBLIC_DIRECTORY_MODE, below=self._layout.blobs
            )
        else:
            self._make_parent(path, keeps_modes=False)

    def _make_parent(self, path: str, keeps_modes: bool) -> bool:
        parent = path.rpartition("/")[0]
        return self._disk.make_directories(parent, PUBLIC_DIRECTORY_MODE, keeps_modes=keeps_modes)
