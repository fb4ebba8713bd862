"""Reading the files of a blob again: whether they still are what they are called."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.digest import Digest
from httpbucket.storage.local.layout import Layout

_READ = 1024 * 1024


def files_of(layout: Layout, blob: Digest) -> list[Path]:
    """Where the blob's bytes may lie: its file, and the siblings that there are."""
    path = layout.blob(blob)
    return [path, *siblings_of(layout, blob)]


def siblings_of(layout: Layout, blob: Digest) -> Iterator[Path]:
    """Further files of the blob, made when the first could take no more names."""
    path = layout.blob(blob)
    return path.parent.glob(f"{path.name}~*")


def is_whole(
    reader: BinaryIO, blob: Digest, on_piece: Callable[[int], None] = lambda size: None
) -> bool:
    """Whether what is read to its end is the blob; ``on_piece`` is told of each read's bytes.

    Storage imports nothing of ``content``, whose hashing takes several digests at once.
    """
    hasher = hashlib.sha256()
    while piece := reader.read(_READ):
        hasher.update(piece)
        on_piece(len(piece))
    return hasher.hexdigest() == blob.hex
