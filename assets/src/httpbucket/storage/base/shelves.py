"""What readers see: directories and files of the archive and of replicas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Protocol

from httpbucket.domain.public_path import PublicPath
from httpbucket.domain.upload import UploadId
from httpbucket.storage.base.blobs import Sighting


@dataclass(frozen=True, slots=True)
class ShelfEntry:
    """What a public directory holds under one name.

    ``size`` is bytes, ``modified`` seconds since 1970. ``target`` is the name beside it that a
    ``latest`` link shows; kind, size and time are then the target's.
    """

    name: str
    is_directory: bool
    size: int
    modified: float
    target: str | None = None


@dataclass(frozen=True, slots=True)
class ShelfPage:
    """Some entries of a directory in order of name; ``next_after`` is None on the last page."""

    entries: tuple[ShelfEntry, ...]
    next_after: str | None


class Shelves(Protocol):
    """The names under which everybody may look at what is kept: ``archive/`` and ``replica/``.

    Each method raises `NameNotFound` where there is no such name, or none that may be looked at:
    what is neither a file nor a directory, and links that are not our own, have no name here.
    """

    def resolve(self, path: PublicPath) -> PublicPath:
        """``path`` with the names that its ``latest`` links show now.

        No other method follows a link, so that what a path showed a moment ago stays readable
        while its link moves on.
        """
        ...

    def look(self, path: PublicPath) -> ShelfEntry:
        """What has this name."""
        ...

    def open(self, path: PublicPath) -> BinaryIO:
        """A reader of the file, seekable. The caller closes it."""
        ...

    def sight(self, path: PublicPath, resolved: PublicPath, upload: UploadId) -> Sighting | None:
        """The links of the path, the record of the upload that it leads into, and the file.

        None where nothing can be looked at again like that.
        """
        ...

    def page(self, path: PublicPath, *, after: str = "", limit: int) -> ShelfPage:
        """At most ``limit`` entries of a directory whose names follow ``after``.

        Memory grows with ``limit``, not with the directory. Records and manifests are not among
        the entries, but can be looked at by their names, where the backend has such names.
        """
        ...
