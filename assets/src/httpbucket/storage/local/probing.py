"""Trying out whether a directory can be a store: by doing what uploads do."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from httpbucket.domain.errors import UnusableStore
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import BLOB_MODE, Layout

#: What is over some day, and keeps nobody from reading meanwhile.
PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE}


def check_one_file_system(layout: Layout) -> None:
    """Raise `UnusableStore` where a part of the store is mounted from elsewhere."""
    device = layout.root.stat().st_dev
    for path in (*layout.public_directories, *layout.private_directories):
        if path.stat().st_dev != device:
            raise UnusableStore(
                f"{path} lies on another file system than ARCHIVE_DIR {layout.root}, and nothing "
                "can be linked between the two; mount all of it as one."
            )


def check_syncing(layout: Layout, disk: Disk, aside: Path) -> None:
    """Sync a file, its directory and the file system. Raises `UnusableStore`, OSError."""
    try:
        disk.write_new(aside / "synced", b"probe", BLOB_MODE)
        disk.sync_directory(aside)
        disk.sync_everything(aside)
    except OSError as error:
        if error.errno in PASSING:
            raise
        reason = os.strerror(error.errno or 0).lower()
        raise UnusableStore(
            f"Nothing can be synced in ARCHIVE_DIR {layout.root} ({reason}); name a directory on a "
            "local disk, or set FSYNC=off and lose uploads on power loss."
        ) from error


def check_linking(layout: Layout, disk: Disk, aside: Path) -> None:
    """Link where content will have names; and link a blob that is there.

    Raises `UnusableStore` for a blob that cannot be linked, OSError for the rest.
    """
    probe = aside / "probe"
    disk.write_new(probe, b"probe", BLOB_MODE)
    for directory in layout.public_directories:
        twin = directory / f"probe-{secrets.token_hex(8)}"
        try:
            disk.link(probe, twin)
        finally:
            twin.unlink(missing_ok=True)
    kept = next(layout.blobs.glob("??/??/*"), None)
    if kept is not None:
        _link_kept(layout, disk, kept, aside / "kept")


def _link_kept(layout: Layout, disk: Disk, kept: Path, probe: Path) -> None:
    try:
        disk.link(kept, probe)
    except PermissionError as error:
        owner = kept.stat().st_uid
        raise UnusableStore(
            f"The blobs in ARCHIVE_DIR {layout.root} belong to user {owner} and cannot be linked "
            f"by user {os.geteuid()} (fs.protected_hardlinks); start the server as user {owner}, "
            "or give the store to this user with chown -R."
        ) from error
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
