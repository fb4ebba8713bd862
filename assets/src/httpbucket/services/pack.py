"""Pack gives a whole directory as one stream: a zip, a tar, or a list of checksums."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from httpbucket.content.tar_stream import TarMember, read_exactly, tar_pieces
from httpbucket.content.zip_layout import ZipLayout, ZipMember
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import TooManyFiles
from httpbucket.domain.pieces import in_pieces
from httpbucket.services.browse import Browse, Shown
from httpbucket.storage.base import BlobStore

#: What a zip may hold: its layout is made in memory, and takes about 300 bytes for each.
MOST_ZIP_MEMBERS = 100_000

# Small files and their headers are sent together.
_PIECE = 256 * 1024


class Pack:
    """Packs directories while they are sent; nothing is written to a disk.

    Members lie in a directory of the packed directory's own name, so that unpacking makes one.
    """

    def __init__(self, *, browse: Browse, blobs: BlobStore) -> None:
        self._browse = browse
        self._blobs = blobs

    def zip(self, directory: Shown) -> ZipLayout:
        """The zip of a directory, to be read with `read`. Raises `TooManyFiles`.

        Files of which no digest is known, because somebody else put them there, are not in it.
        """
        return ZipLayout(self._zip_members(directory))

    def read(self, layout: ZipLayout, start: int, stop: int) -> Iterator[bytes]:
        """The bytes of a zip from ``start`` to ``stop``, in pieces worth sending."""
        return in_pieces(layout.pieces(start, stop, self._content), _PIECE)

    def tar(self, directory: Shown) -> Iterator[bytes]:
        """The tar of a directory, files of others included."""
        return tar_pieces(self._tar_members(directory))

    def checksums(self, directory: Shown) -> Iterator[bytes]:
        """Lines as ``sha256sum`` reads them, of all files below whose digest is known."""
        for shown in self._browse.walk(directory):
            if shown.facts:
                path = shown.path.below(directory.path)
                yield _checksum_line(shown.facts.blob.sha256, path)

    def _zip_members(self, directory: Shown) -> Iterator[ZipMember]:
        members = (
            shown
            for shown in self._browse.walk(directory)
            if shown.facts or shown.entry.is_directory
        )
        for count, shown in enumerate(members):
            if count >= MOST_ZIP_MEMBERS:
                raise TooManyFiles(
                    f"{directory.path} holds more than {MOST_ZIP_MEMBERS} files; "
                    "?tar packs any number."
                )
            yield _zip_member(_packed_name(shown, directory), shown)

    def _tar_members(self, directory: Shown) -> Iterator[TarMember]:
        for shown in self._browse.walk(directory):
            name = _packed_name(shown, directory)
            modified = int(shown.modified.timestamp())
            if shown.entry.is_directory:
                yield TarMember(name, 0, modified)
            else:
                executable = bool(shown.facts and shown.facts.executable)
                open_file = functools.partial(self._browse.open, shown)
                yield TarMember(name, shown.entry.size, modified, open_file, executable)

    def _content(self, sha256: bytes, start: int, size: int) -> Iterator[bytes]:
        digest = Digest.of("sha256", sha256)
        if size <= _PIECE:
            piece = self._blobs.read_part(digest, start, size)
            # Otherwise as of a large one, in pieces or with an error.
            if len(piece) == size:
                yield piece
                return
        with self._blobs.open(digest) as reader:
            if start:
                reader.seek(start)
            yield from read_exactly(reader, size)


def _packed_name(shown: Shown, directory: Shown) -> str:
    below = shown.path.below(directory.path)
    name = f"{directory.path.name}/{below}" if below else directory.path.name
    return f"{name}/" if shown.entry.is_directory else name


def _zip_member(name: str, shown: Shown) -> ZipMember:
    modified, facts = int(shown.modified.timestamp()), shown.facts
    if facts is None:
        return ZipMember(name.encode(), 0, 0, b"", modified)
    blob, sha256 = facts.blob, facts.blob.sha256.value
    return ZipMember(name.encode(), blob.size, blob.crc32, sha256, modified, facts.executable)


def _checksum_line(digest: Digest, path: str) -> bytes:
    r"""A line of sha256sum's; one that begins with a backslash has the path escaped."""
    escaped = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != path else ""
    return f"{mark}{digest.hex}  {escaped}\n".encode()
