"""Reading the files of a blob again: whether they still are what they are called."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import BinaryIO

from httpbucket.domain.digest import Digest

_READ = 1024 * 1024


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
