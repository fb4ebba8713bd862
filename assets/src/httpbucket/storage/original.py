"""A store of the original http-bucket, read to be taken over.

::

    blob/ab/cd/<md5>                            every content; also flat, or by another digest
    explode/ab/cd/<md5 of the archive file>/…   what it unpacked to
    replica/USER/bob/demo/
    ├── results.20201121.1432.0.xml             hardlink to a blob, or a copy
    ├── results.20201121.1432.0                 symlink to a tree in explode/
    └── results.latest.xml                      symlink to the last one
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.digest import Digest, algorithms_of_size
from httpbucket.domain.errors import NotTakenOver, UnusableStore
from httpbucket.domain.replica import ReplicaName
from httpbucket.storage.base import OldFile

_HEX = frozenset("0123456789abcdef")
_SHORTEST_HEX = 32


class OriginalStore:
    """The store at ``root``. Raises `UnusableStore` for a directory that holds none."""

    def __init__(self, root: Path) -> None:
        if not (root / "blob").is_dir():
            raise UnusableStore(f"{root} is no store of the original http-bucket: it has no blob/.")
        # Where links lead is compared with it.
        self._root = root.resolve()
        self._blobs = dict(self._named_by_digest("blob"))
        self._trees = dict(self._named_by_digest("explode"))
        self._digest_of_tree = {path: digest for digest, path in self._trees.items()}
        self._strangers: list[str] = []

    def names(self) -> Iterator[OldFile]:
        self._strangers.clear()
        by_inode = {self._status(path).st_ino: digest for digest, path in self._blobs.items()}
        found = [
            file
            for path in self._files("replica")
            if (file := self._named(path, by_inode)) is not None
        ]
        yield from sorted(found, key=lambda file: (file.received, _number(file.path), file.path))

    def blobs(self) -> Iterator[OldFile]:
        every = sorted(self._blobs.items(), key=lambda item: (item[0] not in self._trees, item[0]))
        members = {
            self._status(path).st_ino for tree in self._trees.values() for path in self._files(tree)
        }
        for digest, tree in self._lone_trees():
            received = datetime.fromtimestamp(self._status(tree).st_mtime, UTC)
            yield OldFile(tree, None, digest.hex, True, "", received, None, tree=tree)
        for digest, path in every:
            status = self._status(path)
            received = datetime.fromtimestamp(status.st_mtime, UTC)
            is_member = status.st_ino in members
            yield OldFile(path, path, digest.hex, True, "", received, digest, is_member)

    def members(self, tree: str) -> Iterator[tuple[str, str]]:
        for path in self._files(tree):
            if self._is_file(path):
                yield path.removeprefix(f"{tree}/"), path

    def strangers(self) -> Iterator[str]:
        yield from self._strangers
        blobs = set(self._blobs.values())
        yield from (path for path in self._files("blob") if path not in blobs)
        for _, tree in self._lone_trees():
            yield from (path for path in self._files(tree) if not self._is_file(path))

    def open(self, source: str) -> BinaryIO:
        try:
            return (self._root / source).open("rb")
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise NotTakenOver(f"It cannot be read ({reason}).") from error

    def _lone_trees(self) -> Iterator[tuple[Digest, str]]:
        """Those whose archive file is gone."""
        trees = sorted(self._trees.items(), key=lambda item: item[0].hex)
        yield from ((digest, tree) for digest, tree in trees if digest not in self._blobs)

    def _named(self, path: str, by_inode: dict[int, Digest]) -> OldFile | None:
        directory, _, entry = path.removeprefix("replica/").rpartition("/")
        name = ReplicaName.parse(entry)
        if name is None:
            if not self._is_latest(path):
                self._strangers.append(path)
            return None
        received = self._received(name, path)
        filename = f"{name.series.stem}{name.series.extension}"
        target = self._target(path)
        digest = self._digest_of_tree.get(target) if target else None
        if digest:
            source = self._blobs.get(digest)
            lone = "" if source or not target else target
            return OldFile(path, source, filename, True, directory, received, digest, tree=lone)
        source = target if target and self._is_file(target) else None
        known = by_inode.get(self._status(source).st_ino) if source else None
        return OldFile(path, source, filename, False, directory, received, known)

    def _received(self, name: ReplicaName, path: str) -> datetime:
        with suppress(ValueError):
            return datetime.strptime(name.minute, "%Y%m%d.%H%M").replace(tzinfo=UTC)
        return datetime.fromtimestamp(self._status(path).st_mtime, UTC)

    def _target(self, path: str) -> str | None:
        """Where the name leads, itself where it is no link; None where that is not in the store."""
        try:
            target = (self._root / path).resolve(strict=True)
        except (OSError, RuntimeError):
            return None
        inside = target.is_relative_to(self._root)
        return str(target.relative_to(self._root)) if inside else None

    def _is_latest(self, path: str) -> bool:
        link = self._root / path
        return link.is_symlink() and "/" not in str(link.readlink()) and ".latest" in link.name

    def _is_file(self, path: str) -> bool:
        return stat.S_ISREG(self._status(path).st_mode)

    def _status(self, path: str) -> os.stat_result:
        return (self._root / path).lstat()

    def _files(self, directory: str) -> Iterator[str]:
        """Every name below that is no directory, in order; no link is followed."""
        for parent, below, files in os.walk(self._root / directory):
            links = [name for name in below if (Path(parent) / name).is_symlink()]
            below[:] = sorted(set(below).difference(links))
            for name in sorted((*files, *links)):
                yield os.path.relpath(f"{parent}/{name}", self._root)

    def _named_by_digest(self, directory: str) -> Iterator[tuple[Digest, str]]:
        """What is called by a digest, one or three levels down."""
        is_tree = directory == "explode"
        for pattern in ("*", "??/??/*"):
            for path in (self._root / directory).glob(pattern):
                digest = _digest(path.name)
                status = path.lstat()
                fits = stat.S_ISDIR(status.st_mode) if is_tree else stat.S_ISREG(status.st_mode)
                if digest and fits:
                    yield digest, str(path.relative_to(self._root))


def _digest(name: str) -> Digest | None:
    text = name.lower()
    if len(text) < _SHORTEST_HEX or not _HEX.issuperset(text):
        return None
    algorithms = algorithms_of_size(len(text) // 2, preferred="md5")
    return Digest(algorithms[0], text) if algorithms and len(text) % 2 == 0 else None


def _number(path: str) -> int:
    name = ReplicaName.parse(path.rpartition("/")[2])
    return name.number if name else 0
