"""The new contents of a batch while they wait to become blobs."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Set
from contextlib import suppress
from pathlib import Path

from httpbucket.domain.digest import Digest, sha256
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import BLOB_MODE
from httpbucket.storage.local.scribe import Scribe, Task
from httpbucket.storage.local.staged_trees import StagedTree

#: Another file has the path in the tree, or the part of a directory; or it is longer than the
#: system takes at once.
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG}


class WaitingContents:
    """Files in ``directory``: where a tree has them, or else under the blob's name.

    ``start_scribe`` is asked, before each is written, for a process to do that, with the number of
    those that wait. Who reads the files calls `settle` first.
    """

    def __init__(
        self,
        disk: Disk,
        directory: str,
        start_scribe: Callable[[int], Scribe | None],
    ) -> None:
        self._disk = disk
        self._front = f"{directory}/"
        self._start_scribe = start_scribe
        self._scribe: Scribe | None = None
        self.tree = StagedTree(disk, directory)
        # Each with its path in the tree; none where it lies under the blob's name.
        self._paths: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._paths

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def names(self) -> Collection[str]:
        """The blobs' names to be."""
        return self._paths.keys()

    def path(self, digest: Digest) -> str:
        """What lies here under the blob's name, or would."""
        return self._front + digest.hex

    def source(self, digest: Digest) -> str:
        """Where the content lies that waits, or is known."""
        path = self._paths.get(digest.hex)
        return self.tree.path(path) if path else self.path(digest)

    def write(self, content: bytes, digest: Digest, path: str) -> None:
        """Write a content, if it has a ``path`` in the tree, there."""
        if not (path and self._hand_over(content, digest, path)):
            self._write(content, digest, path)

    def make(self, digest: Digest, path: str, make: Callable[[str], None]) -> None:
        """Make the file where the tree has it, if it can be there."""
        self._paths[digest.hex] = self._made(digest, path, make)

    def forget(self, digest: Digest) -> None:
        """Remove the file."""
        Path(self.source(digest)).unlink()
        del self._paths[digest.hex]

    def give_way(self, digest: Digest) -> None:
        """Remove the file, for another with its content stays."""
        Path(self.source(digest)).unlink()
        if path := self._paths[digest.hex]:
            self.tree.lack(path)

    def settle(self) -> None:
        """Return when all files are written."""
        if self._scribe:
            self._scribe.finish()
            self._take_back(self._scribe)
            self.close()

    def close(self) -> None:
        """Have nobody write any more. May be repeated."""
        scribe, self._scribe = self._scribe, None
        if scribe:
            scribe.close()

    def _hand_over(self, content: bytes, digest: Digest, path: str) -> bool:
        """Have a scribe write the file where the tree has it; False where that is done here."""
        if self._scribe is None:
            self._scribe = self._start_scribe(len(self._paths))
        scribe = self._scribe
        if scribe is None:
            return False
        try:
            place = self.tree.place(path)
        except OSError:
            # Who writes the file here is told the same.
            return False
        is_given = scribe.give(Task(digest.hex, place, content))
        if is_given:
            self._paths[digest.hex] = path
        self._take_back(scribe)
        return is_given

    def _take_back(self, scribe: Scribe) -> None:
        """Write here what the scribe did not."""
        undone = [(task, self._paths.pop(task.name)) for task in scribe.take_undone()]
        if scribe.is_dead:
            self.close()
            self._remove_remains({path for _, path in undone})
        for task, path in undone:
            assert isinstance(task.source, bytes), "a scribe that makes files"
            self._write(task.source, sha256(task.name), path)

    def _remove_remains(self, paths: Set[str]) -> None:
        """Remove what a scribe left that died; what other contents have was never its own."""
        for path in paths - set(self._paths.values()):
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                Path(self.tree.path(path)).unlink()

    def _write(self, content: bytes, digest: Digest, path: str) -> None:
        def write(target: str) -> None:
            keeps_modes = self.tree.keeps_modes
            self._disk.write_new(target, content, BLOB_MODE, sync=False, keeps_modes=keeps_modes)

        self.make(digest, path, write)

    def _made(self, digest: Digest, path: str, make: Callable[[str], None]) -> str:
        """As `make`; the path in the tree, if it could be there."""
        if path:
            try:
                make(self.tree.place(path))
            except OSError as error:
                if error.errno not in _IN_THE_WAY:
                    raise
                self.tree.lack(path)
            else:
                return path
        make(self.path(digest))
        return ""
