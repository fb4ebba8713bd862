"""Names below ``archive/`` and ``replica/``: given, shown anew and taken away in one step each.

A directory is told by its path relative to the store's root, and opened name by name, so that no
symlink leads out of the store. Only ``archive`` and ``replica`` themselves may be links.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.storage.base import TreeStore
from httpbucket.storage.local.aside import made_aside, remove_aside
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import (
    PRIVATE_DIRECTORY_MODE,
    PUBLIC_DIRECTORY_MODE,
    Layout,
)
from httpbucket.storage.local.links import Linker, opened_directory
from httpbucket.storage.local.staging import LocalStaging


@dataclass(frozen=True, slots=True)
class PublicNames:
    """Names in open directories, and what they are made with."""

    layout: Layout
    disk: Disk
    staging: LocalStaging
    linker: Linker
    trees: TreeStore

    @contextmanager
    def opened(self, path: str) -> Iterator[int]:
        """The directory's descriptor. Raises FileNotFoundError."""
        with self.nearest(path) as (directory, is_there):
            if not is_there:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            yield directory

    @contextmanager
    def nearest(self, path: str) -> Iterator[tuple[int, bool]]:
        """The descriptor of the directory, and True; or of the last above it that is there."""
        public, *parts = path.split("/")
        with ExitStack() as opened:
            outermost = (self.layout.root / public).resolve()
            innermost, is_there = opened.enter_context(opened_directory(outermost)), False
            with suppress(FileNotFoundError):
                for part in parts:
                    innermost = opened.enter_context(opened_directory(part, below=innermost))
                is_there = True
            yield innermost, is_there

    @contextmanager
    def made(self, path: str) -> Iterator[int]:
        """As `opened`, made where it is missing; at the end the names in it last."""
        public, *parts = path.split("/")
        directory = self.disk.open_below(self.layout.root / public, parts, PUBLIC_DIRECTORY_MODE)
        try:
            yield directory
            self.disk.sync_file(directory)
        finally:
            os.close(directory)

    def give_tree(self, name: str, manifest: Digest, *, directory: int) -> None:
        """Make a tree of this name. Raises what `TreeStore.load` and `Linker.name` raise."""
        with made_aside(self.staging) as aside:
            self.disk.make_directory(aside, PUBLIC_DIRECTORY_MODE)
            with self.trees.load(manifest) as loaded, opened_directory(aside) as below:
                self.linker.name_tree(loaded.entries, directory=below)
            self.disk.sync_everything(aside)
            self.disk.rename(aside, name, directory=directory)

    def show(self, name: str, blob: Descriptor, *, directory: int) -> None:
        """Have the name show the blob, whatever it showed. Raises `ContentVanished`."""
        aside = self.staging.unused_path()
        self.disk.make_directory(aside, PRIVATE_DIRECTORY_MODE)
        try:
            with opened_directory(aside) as below:
                self.linker.name(blob, "name", directory=below)
            self.disk.rename(aside / "name", name, directory=directory)
        finally:
            remove_aside(aside, self.staging)

    def point(self, link: str, name: str, *, directory: int) -> None:
        """Have a symlink show ``name`` beside it."""
        with made_aside(self.staging) as aside:
            aside.symlink_to(name)
            self.disk.rename(aside, link, directory=directory)

    def take_away(self, name: str, *, directory: int) -> None:
        """Remove a file or a tree, if it is there."""
        aside = self.staging.unused_path()
        with suppress(FileNotFoundError):
            self.disk.rename_out(name, aside, directory=directory)
        remove_aside(aside, self.staging)
