"""Further names for blobs: hardlinks, also when an inode can take no more of them."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.errors import ContentVanished
from httpbucket.domain.manifest import ManifestEntry
from httpbucket.storage.local.blob_files import sibling_of
from httpbucket.storage.local.blob_names import TAKES_NO_MORE_NAMES
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.freeing import Freeing
from httpbucket.storage.local.layout import BLOB_MODE, PUBLIC_DIRECTORY_MODE, Layout
from httpbucket.storage.local.staging import LocalStaging


class Linker:
    """Names blobs in directories that nobody else writes to."""

    def __init__(self, layout: Layout, disk: Disk, staging: LocalStaging) -> None:
        self._layout = layout
        self._disk = disk
        self._staging = staging
        self._freeing = Freeing(layout, disk)

    def name(self, blob: Descriptor, name: str, *, directory: int, sync: bool = True) -> None:
        """Give the blob one more name in the open ``directory``.

        Raises FileExistsError, and `ContentVanished` when there is no such blob after all. An empty
        file is made anew: all of a store as one inode would soon be too many names.
        """
        if blob.size == 0:
            self._disk.write_new(name, b"", BLOB_MODE, directory=directory, sync=sync)
            return
        is_named = self._link(self._layout.blob_text(blob.sha256), name, directory)
        if is_named is None:
            self._freeing.recover(blob.sha256)
            is_named = self._link(self._layout.blob_text(blob.sha256), name, directory)
        if is_named is None:
            raise ContentVanished(f"The blob {blob.sha256.hex} is gone from the store.")
        if not is_named:
            self._name_sibling(blob, name, directory)

    def _name_sibling(self, blob: Descriptor, name: str, directory: int) -> None:
        path = self._layout.blob(blob.sha256)
        for number in itertools.count(1):
            sibling = sibling_of(path, number)
            is_named = None
            # One that nothing names yet may be freed before it is named here.
            while is_named is None:
                is_new = self._copy_where_missing(path, sibling)
                is_named = self._link(sibling, name, directory, is_new=is_new)
            if is_named:
                return

    def name_tree(self, entries: Iterable[ManifestEntry], *, directory: int) -> None:
        """Make a tree below the open ``directory``, for a caller who syncs all of it at once.

        Descriptors of one branch are open at a time, and no symlink is followed.
        """
        with _Branch(self._disk, directory) as branch:
            for entry in entries:
                if entry.blob is None:
                    branch.enter(entry.path)
                else:
                    parent, _, name = entry.path.rpartition("/")
                    self.name(entry.blob, name, directory=branch.enter(parent), sync=False)

    def _link(
        self, inode: Path | str, name: str, directory: int, *, is_new: bool = False
    ) -> bool | None:
        """Link a blob's file or a sibling of it; False when another may do, None if it is gone."""
        try:
            self._disk.link(inode, name, directory=directory)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in TAKES_NO_MORE_NAMES:
                raise
            if is_new and error.errno != errno.EMLINK:
                # Not the file is at fault but the directory, and no other copy would do either.
                Path(inode).unlink(missing_ok=True)
                raise
            return False
        return True

    def _copy_where_missing(self, path: Path, sibling: Path) -> bool:
        if sibling.exists():
            return False
        self._copy(path, sibling)
        return True

    def _copy(self, path: Path, sibling: Path) -> None:
        staged = self._staging.create_local()
        try:
            with _open_blob(path) as reader:
                while piece := reader.read(1024 * 1024):
                    staged.write(piece)
            staged.seal()
            with suppress(FileExistsError):
                staged.link(sibling)
            self._disk.sync_directory(sibling.parent)
        finally:
            staged.discard()


def _open_blob(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise ContentVanished(f"The blob {path.name} is gone from the store.") from error


class _Branch:
    """The open directories from a tree's root down to where files are being named."""

    def __init__(self, disk: Disk, root: int) -> None:
        self._disk = disk
        self._root = root
        self._path = ""
        self._names: list[str] = []
        self._descriptors: list[int] = []

    def __enter__(self) -> _Branch:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave(0)

    def enter(self, path: str) -> int:
        """The descriptor of this directory below the root, made where it is missing."""
        if path != self._path:
            self._change(path.split("/") if path else [])
            self._path = path
        return self._innermost()

    def _change(self, names: list[str]) -> None:
        common = 0
        while common < len(names) and names[: common + 1] == self._names[: common + 1]:
            common += 1
        self._leave(common)
        for name in names[common:]:
            self._descriptors.append(self._open(name, self._innermost()))
            self._names.append(name)
            os.fchmod(self._innermost(), PUBLIC_DIRECTORY_MODE)

    def _innermost(self) -> int:
        return self._descriptors[-1] if self._descriptors else self._root

    def _open(self, name: str, parent: int) -> int:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)

    def _leave(self, depth: int) -> None:
        while len(self._descriptors) > depth:
            os.close(self._descriptors.pop())
            self._names.pop()


@contextmanager
def opened_directory(path: Path | str, *, below: int | None = None) -> Iterator[int]:
    """The directory's descriptor, closed at the end; never one that a symlink leads to.

    ``path`` is relative to the open directory ``below`` if that is given.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    descriptor = os.open(path, flags, dir_fd=below)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
