"""How the index takes in blobs: many rows of one table at a time, in the order of its keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import islice

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.manifest import ManifestEntry
from httpbucket.domain.search import as_text
from httpbucket.storage.sqlite_digests import packed

#: How many members are held at a time: a KiB each.
_PORTION = 4096

# Looked at for every blob of a tree: what is known already is not written again.
_ADD_BLOB = """
INSERT INTO blob VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET
algorithms = excluded.algorithms, digests = excluded.digests WHERE algorithms != excluded.algorithms
"""

_BlobRow = tuple[bytes, int, int, str, str, str, bytes]


def add_blobs(connection: sqlite3.Connection, named: Iterable[tuple[str, Descriptor]]) -> None:
    """Take in blobs, each with a name that it has; one that is known keeps the name it had first.

    SQLite takes half the time for rows that come in the order of the table's key.
    """
    rows: dict[bytes, _BlobRow] = {}
    aliases: list[tuple[bytes, str, bytes]] = []
    for name, blob in named:
        identity = bytes.fromhex(blob.digests["sha256"])
        if identity not in rows:
            others = _others(blob)
            rows[identity] = _row(identity, name, blob, others)
            aliases += [(value, algorithm, identity) for algorithm, value in others]
    connection.executemany(_ADD_BLOB, sorted(rows.values()))
    connection.executemany("INSERT OR IGNORE INTO alias VALUES (?, ?, ?)", sorted(aliases))


def add_members(
    connection: sqlite3.Connection, manifest: bytes, entries: Iterable[ManifestEntry]
) -> None:
    """Take in the files of the tree whose manifest has this SHA-256."""
    files = ((entry.path, entry.blob) for entry in entries if entry.blob)
    while portion := list(islice(files, _PORTION)):
        add_blobs(connection, ((path.rpartition("/")[2], blob) for path, blob in portion))
        members = sorted({bytes.fromhex(blob.digests["sha256"]) for _, blob in portion})
        connection.executemany(
            "INSERT OR IGNORE INTO named_by_manifest VALUES (?, ?)",
            [(member, manifest) for member in members],
        )


def _others(blob: Descriptor) -> list[tuple[str, bytes]]:
    """The blob's digests beside SHA-256, raw, in order of algorithm."""
    names = sorted(name for name in blob.digests if name != "sha256")
    return [(name, bytes.fromhex(blob.digests[name])) for name in names]


def _row(
    identity: bytes, name: str, blob: Descriptor, others: Sequence[tuple[str, bytes]]
) -> _BlobRow:
    return (
        identity,
        blob.size,
        blob.crc32,
        blob.media_type,
        # A name may hold what was never Unicode; SQLite's text may not.
        as_text(name),
        *packed(others),
    )
