"""Browse shows what is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import pack
from typing import BinaryIO

from httpbucket.content.media_type import media_type_of_name
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import (
    BlobNotFound,
    IndexNotReady,
    NameNotFound,
)
from httpbucket.domain.public_path import PublicPath
from httpbucket.domain.upload import Record, UploadId
from httpbucket.services.facts import FactFinder, Facts
from httpbucket.services.load_record import load_record
from httpbucket.services.see_again import Seen
from httpbucket.storage.base import BlobStore, Index, KnownBlob, Records, ShelfEntry, Shelves

#: So many names of a directory are held at a time.
PAGE_ENTRIES = 5000


@dataclass(frozen=True, slots=True)
class Shown:
    """A name, what it shows, and what is known of that.

    ``resolved`` is the path without ``latest`` links; ``facts`` is None for a directory, and for
    what somebody else put there.
    """

    path: PublicPath
    resolved: PublicPath
    entry: ShelfEntry
    facts: Facts | None = None

    @property
    def is_moving(self) -> bool:
        """Whether the path may show something else tomorrow, being under a ``latest``."""
        return self.path != self.resolved

    @property
    def media_type(self) -> str:
        """What the content looks like; of what nobody looked at, what its name promises."""
        return self.facts.blob.media_type if self.facts else media_type_of_name(self.path.name)

    @property
    def modified(self) -> datetime:
        """When it was changed; under ``latest``, when it was published."""
        if self.facts is None:
            return datetime.fromtimestamp(max(self.entry.modified, 0.0), UTC)
        return self.facts.received if self.is_moving else self.facts.modified


class Browse:
    """Reads uploads, contents, and directories by their public names."""

    def __init__(
        self, *, blobs: BlobStore, records: Records, shelves: Shelves, index: Index
    ) -> None:
        self._blobs = blobs
        self._records = records
        self._shelves = shelves
        self._index = index

    def upload(self, upload: UploadId) -> Record:
        """The record of an upload. Raises `UploadNotFound` or `DamagedRecord`."""
        return load_record(self._records, upload)

    def content(self, blob: Digest) -> BinaryIO:
        """A reader of the content, seekable. The caller closes it. Raises `BlobNotFound`."""
        return self._blobs.open(blob)

    def look(self, path: PublicPath) -> Shown:
        """What has this name now. Raises `NameNotFound`."""
        resolved = self._shelves.resolve(path)
        entry = self._shelves.look(resolved)
        if entry.is_directory:
            return Shown(path, resolved, entry)
        with self._finder() as finder:
            return Shown(path, resolved, entry, _known(finder, resolved, entry))

    def open(self, shown: Shown) -> BinaryIO:
        """A reader of the file, seekable. The caller closes it. Raises `NameNotFound`."""
        return self._shelves.open(shown.resolved)

    def see(self, shown: Shown) -> Seen | None:
        """What an answer with this file is made from; None where that cannot be seen again."""
        facts = shown.facts
        # Of a file that is kept packed as well, it depends on that too.
        if facts is None or facts.upload is None or facts.packed is not None:
            return None
        sighting = self._shelves.sight(shown.path, shown.resolved, facts.upload)
        return Seen(sighting) if sighting else None

    def see_content(self, known: KnownBlob) -> Seen | None:
        """The same of an answer with a content, of which the index knows this."""
        sighting = self._blobs.sight(known.blob.sha256)
        return Seen(sighting, known) if sighting else None

    def gzip_of(self, shown: Shown) -> Descriptor | None:
        """The kept gzip file that holds this file alone, as one member, if there is one.

        Some clients stop after a first member. The last one ends with checksum and size of what
        is in it (RFC 1952, 2.3.1); where those are of the whole file, it is the only one.
        """
        facts = shown.facts
        if facts is None or facts.packed is None or facts.packed.media_type != "application/gzip":
            return None
        with suppress(BlobNotFound, OSError), self._blobs.open(facts.packed.sha256) as reader:
            reader.seek(-8, os.SEEK_END)
            whole = pack("<2L", facts.blob.crc32, facts.blob.size & 0xFFFFFFFF)
            return facts.packed if reader.read(8) == whole else None
        return None

    def has_file(self, directory: Shown, name: str) -> bool:
        """Whether a directory holds a file of this name."""
        with suppress(NameNotFound):
            return not self._shelves.look(directory.resolved / name).is_directory
        return False

    def upload_of(self, shown: Shown) -> Record | None:
        """The upload that the path leads into, if that is known."""
        with suppress(IndexNotReady), self._finder() as finder:
            return finder.upload_of(shown.resolved)
        return None

    def page(
        self, directory: Shown, *, after: str = "", limit: int
    ) -> tuple[list[Shown], str | None]:
        """At most ``limit`` entries behind the name ``after``, and the name to go on after."""
        page = self._shelves.page(directory.resolved, after=after, limit=limit)
        with self._finder() as finder:
            shown = [self._shown(directory, entry, finder) for entry in page.entries]
        return shown, page.next_after

    def entries(self, directory: Shown) -> Iterator[Shown]:
        """All entries in order of name. Raises `NameNotFound` before the first one only."""
        with self._finder() as finder:
            for entry in self._entries(directory):
                yield self._shown(directory, entry, finder)

    def walk(self, top: Shown) -> Iterator[Shown]:
        """All files below a directory, and the empty directories; without ``latest`` links.

        Raises `IndexNotReady` for a replica of which nobody knows yet what it holds.
        """
        with self._finder() as finder:
            yield from self._walk(top, finder)

    def _walk(self, top: Shown, finder: FactFinder) -> Iterator[Shown]:
        """Without recursion: an operator may allow trees that are deeper than Python's stack."""
        branch = [(top, self._entries(top))]
        is_empty = True
        while branch:
            directory, entries = branch[-1]
            entry = next(entries, None)
            if entry is None:
                branch.pop()
                if is_empty:
                    yield directory
                is_empty = False
                continue
            is_empty = entry.is_directory and entry.target is None
            if is_empty:
                inner = _named(directory, entry)
                branch.append((inner, self._entries(inner)))
            elif entry.target is None:
                resolved = directory.resolved / entry.name
                facts = _fitting(finder.find(resolved), entry)
                yield Shown(directory.path / entry.name, resolved, entry, facts)

    def _entries(self, directory: Shown) -> Iterator[ShelfEntry]:
        after: str | None = ""
        while after is not None:
            page = self._shelves.page(directory.resolved, after=after, limit=PAGE_ENTRIES)
            yield from page.entries
            after = page.next_after

    def _shown(self, directory: Shown, entry: ShelfEntry, finder: FactFinder) -> Shown:
        path = directory.path / entry.name
        resolved = directory.resolved / (entry.target or entry.name)
        facts = None if entry.is_directory else _known(finder, resolved, entry)
        return Shown(path, resolved, entry, facts)

    def _finder(self) -> FactFinder:
        return FactFinder(records=self._records, blobs=self._blobs, index=self._index)


def _named(directory: Shown, entry: ShelfEntry) -> Shown:
    return Shown(directory.path / entry.name, directory.resolved / entry.name, entry)


def _known(finder: FactFinder, path: PublicPath, entry: ShelfEntry) -> Facts | None:
    """The facts, or None while the index cannot tell them: the bytes can be shown anyway."""
    try:
        return _fitting(finder.find(path), entry)
    except IndexNotReady:
        return None


def _fitting(facts: Facts | None, entry: ShelfEntry) -> Facts | None:
    """The facts, unless somebody put something else in the file's place."""
    return facts if facts and facts.blob.size == entry.size else None
