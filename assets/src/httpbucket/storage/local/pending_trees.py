"""Pending trees as files: ``private/partial/tree/<id>/tree.jsonl``, locked by its directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from httpbucket.domain.errors import PendingTreeNotFound
from httpbucket.domain.pending_tree import PendingTree, checked_id
from httpbucket.storage.base import MOST_PENDING, TURN_SECONDS
from httpbucket.storage.local.aside import write_over
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import PRIVATE_DIRECTORY_MODE, Layout
from httpbucket.storage.local.locks import try_lock, wait_for
from httpbucket.storage.local.staging import LocalStaging

_NAME = "tree.jsonl"
_MODE = 0o600


class LocalPendingTrees:
    """A directory for each; only who has its lock changes or removes it."""

    def __init__(self, layout: Layout, disk: Disk, staging: LocalStaging) -> None:
        self._root = layout.partial / "tree"
        self._layout = layout
        self._disk = disk
        self._staging = staging

    def save(self, pending: PendingTree) -> None:
        with told_as_refusals():
            directory = self._root / pending.id
            if not directory.is_dir():
                self._make(directory)
            path, content = directory / _NAME, b"".join(pending.to_lines())
            write_over(path, content, _MODE, disk=self._disk, staging=self._staging)

    @contextmanager
    def hold(
        self, id: str, check: Callable[[], None] = lambda: None, *, seconds: float = TURN_SECONDS
    ) -> Iterator[PendingTree]:
        directory = self._root / checked_id(id)
        descriptor = _opened(directory)
        if descriptor is None:
            raise PendingTreeNotFound(id)
        try:
            wait_for(descriptor, seconds=seconds, check=check)
            yield _load(directory)
        finally:
            os.close(descriptor)

    def sweep(self, now: datetime) -> int:
        if not self._root.is_dir():
            return 0
        with told_as_refusals():
            return sum(
                _remove(path, lambda one: _is_expired(one, now)) for path in self._root.iterdir()
            )

    def _make(self, directory: Path) -> None:
        with suppress(FileExistsError):
            self._disk.make_directory(self._root, PRIVATE_DIRECTORY_MODE)
        self._make_place()
        with suppress(FileExistsError):
            self._disk.make_directory(directory, PRIVATE_DIRECTORY_MODE)

    def _make_place(self) -> None:
        """Have the oldest give way, so that nobody keeps others out by asking for many."""
        waiting = list(self._root.iterdir())
        too_many = len(waiting) - MOST_PENDING + 1
        if too_many <= 0:
            return
        for directory in sorted(waiting, key=_saved):
            too_many -= _remove(directory)
            if not too_many:
                return


def _opened(directory: Path) -> int | None:
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    return None


def _load(directory: Path) -> PendingTree:
    try:
        with (directory / _NAME).open("rb") as lines:
            return PendingTree.from_lines(lines)
    except (FileNotFoundError, ValueError) as error:
        raise PendingTreeNotFound(directory.name) from error


def _saved(directory: Path) -> tuple[int, str]:
    """When it was saved last; of two in the same tick, the name decides."""
    with suppress(FileNotFoundError):
        return directory.stat().st_mtime_ns, directory.name
    return 0, directory.name


def _remove(directory: Path, is_due: Callable[[Path], bool] = lambda _: True) -> bool:
    """Remove it, if nobody holds it and it is due; whether that was so."""
    descriptor = _opened(directory)
    if descriptor is None:
        return False
    try:
        if not try_lock(descriptor) or not is_due(directory):
            return False
        shutil.rmtree(directory, ignore_errors=True)
        return True
    finally:
        os.close(descriptor)


def _is_expired(directory: Path, now: datetime) -> bool:
    """One that cannot be read is, unless it may be about to be written."""
    try:
        return _load(directory).expires < now
    except PendingTreeNotFound:
        return now.timestamp() - directory.stat().st_mtime > 60
