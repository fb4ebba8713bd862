"""Blobs as read-only files, named by their SHA-256."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.digest import Digest, sha256
from httpbucket.domain.errors import BlobNotFound
from httpbucket.storage.base import BlobBatch, Sighting, StagedFile
from httpbucket.storage.local.batches import LocalBlobBatch
from httpbucket.storage.local.blob_names import ATTEMPTS, BlobNames
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.freeing import Freeing
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.pins import count_pins, oldest_tree
from httpbucket.storage.local.scribe import Scribes
from httpbucket.storage.local.sightings import sight
from httpbucket.storage.local.staged_file import LocalStagedFile
from httpbucket.storage.local.staging import LocalStaging

#: So many names are looked for from an open directory on: a seventh of the time less each.
_MANY = 64
_AS_PLACE = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY

_SHA256 = re.compile(r"[0-9a-f]{64}")


class LocalBlobStore:
    """``blob/ab/cd/<sha256>``: the first to link a name wins, and nobody writes to it again."""

    def __init__(
        self,
        layout: Layout,
        disk: Disk,
        staging: LocalStaging,
        scribes: Scribes | None = None,
    ) -> None:
        self._layout = layout
        self._disk = disk
        self._staging = staging
        self._scribes = scribes
        self._names = BlobNames(layout, disk)
        self._freeing = Freeing(layout, disk)
        self._directory = str(layout.blobs)

    def keep(self, staged: StagedFile, digest: Digest) -> bool:
        assert isinstance(staged, LocalStagedFile), "a staged file of another backend"
        with told_as_refusals():
            is_new = self._become(staged, digest)
            # Also when it was there: who linked it may not have come to syncing the directory.
            self._names.sync(digest)
        staged.release()
        return is_new

    def batch(self) -> BlobBatch:
        return LocalBlobBatch(self._disk, self._staging, self._names, self._scribes)

    @contextmanager
    def hold(self, digest: Digest) -> Iterator[None]:
        pin = self._staging.pin_path(digest)
        with told_as_refusals():
            is_kept = self._names.pin(digest, pin)
        if not is_kept:
            raise BlobNotFound(f"No blob {digest} is kept.")
        try:
            yield
        finally:
            with suppress(FileNotFoundError):
                os.unlink(pin)  # noqa: PTH108 - text takes a fifth of the time

    def open(self, digest: Digest) -> BinaryIO:
        return self._names.open(digest)

    def read_part(self, digest: Digest, start: int, size: int) -> bytes:
        return self._names.read_part(digest, start, size)

    def size(self, digest: Digest) -> int | None:
        with told_as_refusals():
            return self._names.size(digest)

    def kept(self, values: Collection[bytes]) -> set[bytes]:
        if len(values) < _MANY:
            return _kept(values, f"{self._directory}/", None)
        try:
            directory = os.open(self._directory, _AS_PLACE)
        except OSError:
            return _kept(values, f"{self._directory}/", None)
        try:
            return _kept(values, "", directory)
        finally:
            os.close(directory)

    def digests(self, *, after: Digest | None = None) -> Iterator[Digest]:
        start = after.hex if after else ""
        for directory in _directories(self._layout.blobs, "", start):
            for name in _names_in(directory):
                if name > start and _SHA256.fullmatch(name):
                    yield sha256(name)

    def free(
        self, digest: Digest, *, idle_since: float | None = None, dry_run: bool = False
    ) -> int | None:
        with told_as_refusals():
            return self._freeing.free(digest, idle_since=idle_since, dry_run=dry_run)

    def recover(self) -> int:
        with told_as_refusals():
            return self._freeing.recover_all()

    def sight(self, digest: Digest) -> Sighting | None:
        return sight([self._layout.blob_text(digest)])

    def is_named(self, digest: Digest) -> bool | None:
        # Everything that names a blob is a hardlink to it, save for empty files.
        status = self._status(digest)
        if status is None:
            return False
        # Who pins it may also have named it in a directory that is being built. A single name
        # tells nothing: a copy of a store may be one without its hardlinks. In the trash a removed
        # upload still has names of all that was its own.
        if any(path.is_dir() for path in self._layout.trash.iterdir()):
            return None
        # Nor can names be told from those that a blob may have got since in a tree on its way in.
        oldest = oldest_tree(self._layout)
        if oldest is not None and status.st_ctime >= oldest - 1:
            return None
        pins = count_pins(self._layout, digest)
        return True if status.st_size and status.st_nlink > 1 + 2 * pins else None

    def _status(self, digest: Digest) -> os.stat_result | None:
        with suppress(FileNotFoundError), told_as_refusals(but=FileNotFoundError):
            return self._layout.blob(digest).stat()
        return None

    def _become(self, staged: LocalStagedFile, digest: Digest) -> bool:
        """Pin the blob that is there, or make one of the staged file, pinned; whether it is new."""
        for _ in range(ATTEMPTS):
            if self._pin_known(staged, digest):
                return False
            if self._publish(staged, digest):
                return True
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), digest.hex)

    def _pin_known(self, staged: LocalStagedFile, digest: Digest) -> bool:
        if self._names.size(digest) != staged.size:
            return False
        # The empty blob always stays.
        pin = self._staging.pin_path(digest) if staged.size else None
        if pin and not self._names.pin(digest, pin):
            return False
        staged.replace_by(pin)
        return True

    def _publish(self, staged: LocalStagedFile, digest: Digest) -> bool:
        staged.seal_as(self._staging.pin_path(digest))
        return self._names.take(digest, staged.size, staged.link, sync=True)


def _kept(values: Collection[bytes], above: str, directory: int | None) -> set[bytes]:
    """Those that name a file; paths begin with ``above``, or in the open ``directory``.

    2.4 µs each; by way of `Layout` and `size` it would be 6.
    """
    is_there, there = os.access, os.F_OK
    return {
        value
        for value in values
        if is_there(
            f"{above}{(name := value.hex())[:2]}/{name[2:4]}/{name}", there, dir_fd=directory
        )
    }


def _directories(parent: Path, begun: str, start: str) -> Iterator[Path]:
    """``ab/cd`` in order, but for those of which every name comes before ``start``."""
    for name in _names_in(parent):
        reached = begun + name
        if len(name) == 2 and reached >= start[: len(reached)]:
            if begun:
                yield parent / name
            else:
                yield from _directories(parent / name, reached, start)


def _names_in(directory: Path) -> list[str]:
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(os.listdir(directory))  # noqa: PTH208
    return []
