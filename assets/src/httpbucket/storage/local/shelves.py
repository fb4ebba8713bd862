"""What may be looked at: opened part by part from the store's root, never through a symlink."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO

from httpbucket.domain.errors import NameNotFound
from httpbucket.domain.public_path import PublicPath, is_shown
from httpbucket.domain.replica import is_latest
from httpbucket.domain.upload import UploadId
from httpbucket.storage.base import ShelfEntry, ShelfPage, Sighting
from httpbucket.storage.local.disk import told_as_refusals
from httpbucket.storage.local.layout import MANIFEST_NAME, RECORD_NAME, Layout
from httpbucket.storage.local.names_in_order import NamesInOrder
from httpbucket.storage.local.sightings import sight

_NO_SUCH_NAME = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO}
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO that somebody put there would keep a reader waiting.
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PARTS_OF_AN_UPLOAD = 5


class LocalShelves:
    """``archive/`` and ``replica/`` below the store's root."""

    def __init__(self, layout: Layout) -> None:
        self._root = layout.root
        self._names = NamesInOrder()

    def resolve(self, path: PublicPath) -> PublicPath:
        resolved = path
        for depth, part in enumerate(path.parts):
            if ".latest" in part:
                parents = resolved.parts[:depth]
                with suppress(NameNotFound), self._directory(path, parents) as directory:
                    target = _target(part, directory) or part
                    resolved = PublicPath((*parents, target, *path.parts[depth + 1 :]))
        return resolved

    def look(self, path: PublicPath) -> ShelfEntry:
        with self._directory(path, path.parts[:-1]) as directory:
            entry = _entry(path.name, directory)
        if entry is None or entry.target:
            raise NameNotFound(str(path))
        return entry

    def open(self, path: PublicPath) -> BinaryIO:
        with self._directory(path, path.parts[:-1]) as directory:
            if not stat.S_ISREG(_status(path.name, directory).st_mode):
                raise NameNotFound(str(path))
            descriptor = os.open(path.name, _OPEN_FILE, dir_fd=directory)
        return os.fdopen(descriptor, "rb")

    def sight(self, path: PublicPath, resolved: PublicPath, upload: UploadId) -> Sighting | None:
        links = [
            "/".join((*resolved.parts[:depth], shown))
            for depth, (shown, real) in enumerate(zip(path.parts, resolved.parts, strict=True))
            if shown != real
        ]
        names = [*links, f"{upload.directory}/{RECORD_NAME}", str(resolved)]
        return sight([f"{self._root}/{name}" for name in names])

    def page(self, path: PublicPath, *, after: str = "", limit: int) -> ShelfPage:
        with self._directory(path, path.parts) as directory:
            names = self._names.behind(after, directory, limit=limit + 1)
            shown = _without_our_own(path, names[:limit])
            entries = (_entry(name, directory) for name in shown)
            next_after = names[limit - 1] if len(names) > limit else None
            return ShelfPage(tuple(filter(None, entries)), next_after)

    @contextmanager
    def _directory(self, path: PublicPath, parts: Sequence[str]) -> Iterator[int]:
        """The open directory ``parts``; what is missing in it is `NameNotFound` of ``path``."""
        with _told_as_missing(path):
            descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for part in parts:
                    inner = os.open(part, _OPEN_DIRECTORY, dir_fd=descriptor)
                    os.close(descriptor)
                    descriptor = inner
                yield descriptor
            finally:
                os.close(descriptor)


@contextmanager
def _told_as_missing(path: PublicPath) -> Iterator[None]:
    with told_as_refusals():
        try:
            yield
        except OSError as error:
            if error.errno in _NO_SUCH_NAME:
                raise NameNotFound(str(path)) from error
            raise


def _without_our_own(path: PublicPath, names: Iterable[str]) -> Iterator[str]:
    is_upload = path.parts[0] == "archive" and len(path.parts) == _PARTS_OF_AN_UPLOAD
    ours = {RECORD_NAME, MANIFEST_NAME} if is_upload else set()
    return (name for name in names if name not in ours and is_shown(name))


def _status(name: str, directory: int) -> os.stat_result:
    return os.stat(name, dir_fd=directory, follow_symlinks=False)


def _target(name: str, directory: int) -> str | None:
    """Where our own link leads; None for what is no link, or somebody else's."""
    try:
        target = os.readlink(name, dir_fd=directory)
    except OSError:
        return None
    return target if is_latest(name, target) else None


def _entry(name: str, directory: int) -> ShelfEntry | None:
    target = None
    try:
        status = _status(name, directory)
        if stat.S_ISLNK(status.st_mode) and (target := _target(name, directory)):
            status = _status(target, directory)
    except FileNotFoundError:
        return None
    is_directory = stat.S_ISDIR(status.st_mode)
    if not (is_directory or stat.S_ISREG(status.st_mode)):
        return None
    size = 0 if is_directory else status.st_size
    return ShelfEntry(name, is_directory, size, status.st_mtime, target)
