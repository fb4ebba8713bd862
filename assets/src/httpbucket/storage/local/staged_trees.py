"""A tree whose files are staged at the paths that they are to have in it."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import PUBLIC_DIRECTORY_MODE

#: Begins the name of a directory in the batch's; the time follows when the tree was begun, in
#: seconds since 1970. It stays as long as links of the contents are not called by their digests.
TREES = "trees-"


class StagedTree:
    """A tree on its way in: published by one rename, it needs no further link for each file.

    Linking it from the blobs, and taking away what held them until then, would be two calls more
    for each file, and reading the manifest.
    """

    def __init__(self, disk: Disk, directory: str) -> None:
        self._disk = disk
        self._above = f"{directory}/{TREES}{int(time.time())}"
        self._front = f"{self._above}/0/"
        self._parent: str | None = None
        self._lacking: set[str] = set()
        #: As of `Disk.make_probing`; it is known once a file was placed.
        self.keeps_modes = False
        self._is_settled = False

    def path(self, path: str) -> str:
        """Where the file of this path is staged."""
        return self._front + path

    def place(self, path: str) -> str:
        """The same, where a file can be made now. Raises OSError when another is in the way."""
        parent = path.rpartition("/")[0]
        if parent != self._parent:
            mode = PUBLIC_DIRECTORY_MODE
            if self._parent is None:
                self.keeps_modes = self._disk.make_probing(self._above, mode)
            directory = (self._front + parent).rstrip("/")
            self._disk.make_directories(directory, mode, keeps_modes=self.keeps_modes)
            self._parent = parent
        return self._front + path

    def lack(self, path: str) -> None:
        """Have the file made by a link, once the tree is where it is published."""
        self._lacking.add(path)

    def settle(self, lacking: Collection[str] | None) -> None:
        """As `BlobBatch.settle`."""
        self._is_settled = lacking is not None
        self._lacking.update(lacking or ())

    def move(self, target: Path) -> Collection[str] | None:
        """Publish the tree as ``target``, and say what it lacks; None where there is no such."""
        if not self._is_settled or self._parent is None:
            return None
        self._disk.rename(self._front.rstrip("/"), target)
        self._is_settled = False
        return self._lacking
