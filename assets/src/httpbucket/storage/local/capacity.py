"""The room on the file system that holds the store."""

from __future__ import annotations

import os
from pathlib import Path

from httpbucket.storage.base import Space
from httpbucket.storage.local.disk import told_as_refusals


class LocalCapacity:
    """Asks the file system below ``root`` (statvfs(3)); a quota of a user is not in its answer."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def space(self) -> Space | None:
        with told_as_refusals():
            status = os.statvfs(self._root)
        # Some file systems make inodes as they need them, and report none (btrfs).
        counts_names = status.f_files > 0
        return Space(
            total=status.f_blocks * status.f_frsize,
            free=status.f_bavail * status.f_frsize,
            total_names=status.f_files if counts_names else None,
            free_names=status.f_favail if counts_names else None,
        )
