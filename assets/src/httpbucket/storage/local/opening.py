"""Making a store, or making sure that a directory is one that can be used."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from httpbucket.domain.digest import EMPTY
from httpbucket.domain.errors import UnusableStore
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import (
    BLOB_MODE,
    LAYOUT_VERSION,
    PRIVATE_DIRECTORY_MODE,
    PUBLIC_DIRECTORY_MODE,
    Layout,
)
from httpbucket.storage.local.own_directory import claim_directory
from httpbucket.storage.local.probing import (
    PASSING,
    check_linking,
    check_one_file_system,
    check_syncing,
)

logger = logging.getLogger(__name__)


def open_store(layout: Layout, disk: Disk) -> None:
    """Make the store where there is none; check it where there is one.

    Raises `UnusableStore` with one sentence that says what to do: for a foreign or newer store, a
    path that is no directory or cannot be written, several file systems, and blobs that cannot be
    synced or linked. A store that is only full or read-only for now is told in the log: what it
    holds can be read, and uploads are refused until it has room and can be written again.
    """
    try:
        _make_root(layout.root, disk)
        _check_marker(layout)
        _make_directories(layout, disk)
        check_one_file_system(layout)
        _make_empty_blob(layout, disk)
        with _aside(layout, disk) as aside:
            check_syncing(layout, disk, aside)
            check_linking(layout, disk, aside)
            _write_marker(layout, disk, aside)
    except OSError as error:
        if error.errno not in PASSING or not _is_whole(layout):
            raise UnusableStore(_sentence(layout.root, error)) from error
        reason = os.strerror(error.errno).lower()
        logger.warning("ARCHIVE_DIR %s takes no uploads for now: %s.", layout.root, reason)


def make_place_for_index(path: Path) -> None:
    """Make the directory of an index outside of the store. Raises `UnusableStore`."""
    try:
        path.parent.mkdir(PRIVATE_DIRECTORY_MODE, parents=True, exist_ok=True)
        if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise UnusableStore(
            f"INDEX_PATH {path} cannot be made ({reason}); name a file in a directory that user "
            f"{os.geteuid()} can write."
        ) from error


def _is_whole(layout: Layout) -> bool:
    """Whether the store has everything that reading needs."""
    needed = (layout.marker, *layout.public_directories, *layout.private_directories)
    return all(path.exists() for path in needed)


def open_secret(layout: Layout, disk: Disk) -> bytes:
    """The bytes that the store signs with; made by the first who asks. Raises `UnusableStore`."""
    try:
        if not layout.secret.exists():
            with _aside(layout, disk) as aside:
                # Linked when it is whole: of several at once the first one's is everybody's.
                disk.write_new(aside / "secret", secrets.token_bytes(32), 0o600)
                with suppress(FileExistsError):
                    disk.link(aside / "secret", layout.secret)
                disk.sync_directory(layout.private)
        return layout.secret.read_bytes()
    except OSError as error:
        raise UnusableStore(_sentence(layout.root, error)) from error


def _make_root(root: Path, disk: Disk) -> None:
    missing = [path for path in (root, *root.parents) if not path.exists()]
    for path in reversed(missing):
        with suppress(FileExistsError):
            disk.make_directory(path, PUBLIC_DIRECTORY_MODE)
        disk.sync_directory(path.parent)


def _check_marker(layout: Layout) -> None:
    """Accept this layout's marker, or a directory that is empty but for what a mount puts there."""
    try:
        marker = layout.marker.read_text("ascii", errors="replace").strip()
    except FileNotFoundError:
        ours = {path.name for path in (*layout.public_directories, layout.private)}
        strangers = {path.name for path in layout.root.iterdir()} - ours - {"lost+found"}
        if layout.marker.name in strangers:
            # Another server has made the store in the meantime.
            return _check_marker(layout)
        if strangers:
            raise UnusableStore(
                f"ARCHIVE_DIR {layout.root} holds other files (for example {min(strangers)!r}) and "
                "is no store; name an empty or a new directory."
            ) from None
        _check_not_around_another(layout)
        return
    if marker != str(LAYOUT_VERSION):
        raise UnusableStore(
            f"ARCHIVE_DIR {layout.root} has layout {marker[:20]!r}, and this program knows layout "
            f"{LAYOUT_VERSION}; start the program that made it, or name another directory."
        )


def _check_not_around_another(layout: Layout) -> None:
    """The default store is ``…/bucket/archive``: who then names ``…/bucket`` would mix the two."""
    if (layout.archive / layout.marker.name).exists():
        raise UnusableStore(
            f"ARCHIVE_DIR {layout.root} holds another store, {layout.archive}; "
            "name that one, or an empty or a new directory."
        )


def _make_directories(layout: Layout, disk: Disk) -> None:
    for path in layout.public_directories:
        disk.ensure_directory(path, PUBLIC_DIRECTORY_MODE, below=layout.root)
    for path in layout.private_directories:
        disk.ensure_directory(path, PRIVATE_DIRECTORY_MODE, below=layout.root)


@contextmanager
def _aside(layout: Layout, disk: Disk) -> Iterator[Path]:
    """A directory for a moment, which no server that starts at the same time sweeps away."""
    path, lock = claim_directory(layout.staging, disk)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make_empty_blob(layout: Layout, disk: Disk) -> None:
    """The empty content is always kept: its names are files of their own, never links to it."""
    path = layout.blob(EMPTY)
    disk.ensure_directory(path.parent, PUBLIC_DIRECTORY_MODE, below=layout.blobs)
    with suppress(FileExistsError):
        disk.write_new(path, b"", BLOB_MODE)
        disk.sync_directory(path.parent)


def _write_marker(layout: Layout, disk: Disk, aside: Path) -> None:
    """Linked when it is whole, so that no crash leaves a marker that says nothing."""
    if layout.marker.exists():
        return
    marker = aside / "marker"
    disk.write_new(marker, f"{LAYOUT_VERSION}\n".encode(), BLOB_MODE)
    with suppress(FileExistsError):
        disk.link(marker, layout.marker)
    disk.sync_directory(layout.root)


def _sentence(root: Path, error: OSError) -> str:
    match error.errno:
        case errno.ENOTDIR | errno.EEXIST:
            return (
                f"ARCHIVE_DIR {root} is not a directory; name a directory, or a path where none is."
            )
        case errno.EACCES | errno.EPERM:
            return (
                f"ARCHIVE_DIR {root} cannot be written by user {os.geteuid()}; "
                "give it to this user with chown, or name another directory."
            )
        case errno.EROFS:
            return f"ARCHIVE_DIR {root} lies on a read-only file system; name a writable one."
        case errno.EXDEV:
            return (
                f"The directories in ARCHIVE_DIR {root} lie on several file systems, between which "
                "nothing can be linked; mount all of it as one."
            )
        case _:
            reason = os.strerror(error.errno or 0)
            return f"ARCHIVE_DIR {root} cannot be used: {reason}; name another directory."
