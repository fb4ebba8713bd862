"""Trees of an old store whose archive file is gone: what they hold, and how to offer it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import BinaryIO

from httpbucket.content.hashing import ContentHasher
from httpbucket.content.member_names import decode_name
from httpbucket.domain.digest import Digest, sha256
from httpbucket.domain.errors import NotTakenOver
from httpbucket.services.ingest import Offer
from httpbucket.services.receive import Act
from httpbucket.storage.base import OldStore

_READ = 1024 * 1024


def listed(old: OldStore, tree: str) -> tuple[Digest, int]:
    """The SHA-256 of the list of a tree's paths and contents, and their size in bytes.

    Raises `NotTakenOver` for a tree without files.
    """
    listing, size = hashlib.sha256(), 0
    for path, source in old.members(tree):
        hasher = ContentHasher([])
        for piece in pieces(old, source):
            hasher.update(piece)
        listing.update(f"{hasher.digests()['sha256']} {path}\n".encode(errors="surrogateescape"))
        size += hasher.size
    if listing.digest() == hashlib.sha256().digest():
        raise NotTakenOver("It is a tree without a file.")
    return sha256(listing.hexdigest()), size


def offers(old: OldStore, tree: str, name: str, act: Act) -> Iterator[Offer]:
    """Each file of the tree, below a directory ``name``, which is the tree then."""
    for path, source in old.members(tree):
        incoming = act.new_file()
        for piece in pieces(old, source):
            incoming.write(piece)
        shown = decode_name(path.encode(errors="surrogateescape"))
        yield Offer(act.put_aside(incoming), f"{name}/{shown}")


def pieces(old: OldStore, source: str) -> Iterator[bytes]:
    """The content of an old file. Raises `NotTakenOver`."""
    with old.open(source) as reader:
        while piece := _read(reader):
            yield piece


def _read(reader: BinaryIO) -> bytes:
    try:
        return reader.read(_READ)
    except OSError as error:
        raise NotTakenOver(f"It cannot be read ({os.strerror(error.errno or 0)}).") from error
