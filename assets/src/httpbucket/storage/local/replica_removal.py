"""Removing replicas: named in ``private/redo`` first, then no record names them, then they go."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from httpbucket.domain.upload import Replica, UploadId
from httpbucket.storage.local.aside import write_over
from httpbucket.storage.local.layout import BLOB_MODE, Layout
from httpbucket.storage.local.public_names import PublicNames

DIGEST_DIGITS = 16


@dataclass(frozen=True)
class Removal:
    """What goes from one directory, and what its ``latest`` links show then; None: they go too."""

    directory: str
    names: tuple[str, ...]
    latest: Mapping[str, str | None]

    @property
    def paths(self) -> set[str]:
        """The replicas that go, as records name them."""
        return {f"{self.directory}/{name}" for name in self.names}

    def to_bytes(self) -> bytes:
        """The removal as it stands in a redo file."""
        value = {"directory": self.directory, "names": self.names, "latest": dict(self.latest)}
        return json.dumps(value).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Self:
        """Read what `to_bytes` wrote. Raises ValueError for anything else."""
        try:
            value = json.loads(text)
            return cls(str(value["directory"]), tuple(value["names"]), dict(value["latest"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a removal: {error!r}") from error


def removals(replicas: Collection[Replica], latest: Mapping[str, str | None]) -> list[Removal]:
    """The removal of these replicas in each of their directories."""
    return [
        Removal(
            directory,
            tuple(one.name for one in replicas if one.directory == directory),
            {
                path.rpartition("/")[2]: name
                for path, name in latest.items()
                if path.rpartition("/")[0] == directory
            },
        )
        for directory in dict.fromkeys(one.directory for one in replicas)
    ]


class ReplicaRemoval:
    """Removes replicas from directories that the caller holds."""

    def __init__(self, names: PublicNames) -> None:
        self._names = names
        self._layout = names.layout
        self._disk = names.disk

    def announce(self, upload: UploadId, wanted: Sequence[Removal]) -> None:
        """Remember lastingly what is to be removed when no record names it any more."""
        for removal in wanted:
            path = redo_file(self._layout, upload, removal.directory)
            text = removal.to_bytes()
            write_over(path, text, BLOB_MODE, disk=self._disk, staging=self._names.staging)
        self._disk.sync_directory(self._layout.redo)

    def forget(self, upload: UploadId, wanted: Sequence[Removal]) -> None:
        """It was done, or is not to be done."""
        for removal in wanted:
            redo_file(self._layout, upload, removal.directory).unlink(missing_ok=True)

    def carry_out(self, removal: Removal) -> None:
        """Move the ``latest`` links away, then take away what they showed; lastingly."""
        with suppress(FileNotFoundError), self._names.opened(removal.directory) as directory:
            for link, name in removal.latest.items():
                if name is None:
                    with suppress(FileNotFoundError):
                        self._disk.unlink(link, directory=directory)
                else:
                    self._names.point(link, name, directory=directory)
            for name in removal.names:
                self._names.take_away(name, directory=directory)
            self._disk.sync_file(directory)

    def shown(self, link: str) -> str | None:
        """As `HeldDirectories.shown`."""
        parent, _, name = link.rpartition("/")
        try:
            with self._names.opened(parent) as directory:
                return os.readlink(name, dir_fd=directory)
        except OSError as error:
            # Something else of that name (EINVAL) is not ours.
            if error.errno not in {errno.ENOENT, errno.EINVAL}:
                raise
        return None


def redo_file(layout: Layout, upload: UploadId, directory: str) -> Path:
    """Where it stands that something is to be done for the upload in this replica directory."""
    return layout.redo / f"{upload}-{directory_digest(directory)}"


def directory_digest(directory: str) -> str:
    """A short text for a directory's path."""
    return hashlib.sha256(directory.encode()).hexdigest()[:DIGEST_DIGITS]
