"""Freeing blobs that nothing names, while others may be about to name them.

Hardlinks are looked at twice: before the blob is renamed to ``private/trash/``, and after. Who pins
or names a blob does so by its name in the store of blobs: once that is gone nobody new can come,
and who came before is seen in the link count. Then the blob is put back.

A killed process leaves the blob in the trash. There it is found by whoever next frees it or looks
for it to name it, and by the next start, and is put back: what nothing names can be freed again.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from httpbucket.domain.digest import EMPTY, Digest
from httpbucket.storage.local.blob_files import blob_of, sibling_of, siblings_of
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import PUBLIC_DIRECTORY_MODE, Layout
from httpbucket.storage.local.locks import locked


class Freeing:
    """Moves blobs to the trash and back. One process does so at a time."""

    def __init__(self, layout: Layout, disk: Disk) -> None:
        self._layout = layout
        self._disk = disk

    def free(
        self, digest: Digest, *, idle_since: float | None = None, dry_run: bool = False
    ) -> int | None:
        """Remove the blob as `BlobStore.free` says.

        Siblings go singly. The first file goes last: without it the others would not be found.
        """
        path = self._layout.blob(digest)
        with self._alone():
            self._put_back_all(digest)
            siblings = siblings_of(self._layout, digest)
            freed = [self._free(one, idle_since, dry_run=dry_run) for one in siblings]
            if digest == EMPTY or None in freed:
                return None
            freed.append(self._free(path, idle_since, dry_run=dry_run))
        return None if None in freed else sum(filter(None, freed))

    def recover(self, digest: Digest) -> None:
        """Put back a blob, and wait for whoever is just looking whether it can be freed."""
        with self._alone():
            self._put_back_all(digest)

    def recover_all(self) -> int:
        """Put back what dead processes left in the trash; how many files that were."""
        with self._alone():
            found = [path for path in self._layout.trash.iterdir() if blob_of(path.name)]
            for path in found:
                self._put_back(path)
        return len(found)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with locked(self._layout.locks / "free"):
            yield

    def _free(self, path: Path, idle_since: float | None, *, dry_run: bool) -> int | None:
        """How many bytes one file gave back; None when it stays."""
        aside = self._layout.trash / path.name
        try:
            status = path.stat()
            is_recent = idle_since is not None and status.st_ctime > idle_since
            if status.st_nlink > 1 or is_recent:
                return None
            if dry_run:
                return status.st_size
            self._disk.rename(path, aside)
        except FileNotFoundError:
            return 0
        if aside.stat().st_nlink > 1:
            self._put_back(aside)
            return None
        # Not synced: what comes back with a power loss, nothing names.
        self._disk.unlink(aside)
        return status.st_size

    def _put_back_all(self, digest: Digest) -> None:
        # Almost always there is none, and looking for one name is faster than listing.
        names = [digest.hex, *(path.name for path in self._layout.trash.glob(f"{digest.hex}~*"))]
        for name in names:
            with suppress(FileNotFoundError):
                self._put_back(self._layout.trash / name)

    def _put_back(self, aside: Path) -> None:
        """Give a file its name again; as a sibling when another has taken that, and it is in use.

        Raises FileNotFoundError when there is no such file.
        """
        status = aside.stat()
        digest = blob_of(aside.name)
        assert digest is not None, "named as a blob"
        base = self._layout.blob(digest)
        self._disk.ensure_directory(base.parent, PUBLIC_DIRECTORY_MODE, below=self._layout.blobs)
        siblings = (sibling_of(base, number) for number in itertools.count(1))
        for path in itertools.chain([base.with_name(aside.name)], siblings):
            is_back = self._link_back(aside, path)
            if is_back or status.st_nlink == 1:
                break
        self._disk.sync_directory(base.parent)
        self._disk.unlink(aside)

    def _link_back(self, aside: Path, path: Path) -> bool:
        try:
            self._disk.link(aside, path)
        except FileExistsError:
            return os.path.samefile(aside, path)  # noqa: PTH121
        return True
