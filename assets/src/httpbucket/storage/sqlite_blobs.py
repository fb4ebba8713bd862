"""How the index takes in blobs: many rows of one table at a time, in the order of its keys."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.manifest import ManifestEntry
from httpbucket.domain.search import as_text
from httpbucket.storage.sqlite_digests import packed, unpacked
from httpbucket.storage.sqlite_many import rows_of_many

#: How many members are held at a time: a KiB each.
_PORTION = 4096

_Digests = set[tuple[str, bytes]]
_BlobRow = tuple[bytes, int, int, str, str, str, bytes]


def add_blobs(connection: sqlite3.Connection, named: Iterable[tuple[str, Descriptor]]) -> None:
    """Take in blobs, each with a name that it has; one that is known keeps the name it had first.

    SQLite takes half the time for rows that come in the order of the table's key.
    """
    first: dict[bytes, tuple[str, Descriptor]] = {}
    digests: dict[bytes, _Digests] = defaultdict(set)
    for name, blob in named:
        identity = bytes.fromhex(blob.digests["sha256"])
        first.setdefault(identity, (name, blob))
        digests[identity].update(_others(blob))
    _add_digests_to_known(connection, digests)
    rows = [_row(identity, *first[identity], sorted(digests[identity])) for identity in first]
    connection.executemany("INSERT OR IGNORE INTO blob VALUES (?, ?, ?, ?, ?, ?, ?)", sorted(rows))
    aliases = [(value, name, blob) for blob, each in digests.items() for name, value in each]
    connection.executemany("INSERT OR IGNORE INTO alias VALUES (?, ?, ?)", sorted(aliases))


def _add_digests_to_known(
    connection: sqlite3.Connection, digests: Mapping[bytes, _Digests]
) -> None:
    """None is ever dropped, or its alias would outlive the blob."""
    question = "SELECT sha256, algorithms, digests FROM blob WHERE sha256 IN ({})"
    for identity, algorithms, values in rows_of_many(connection, question, digests.keys()):
        known = {(one.algorithm, one.value) for one in unpacked(algorithms, values)}
        if not known.issuperset(digests[identity]):
            columns = packed(sorted(known | digests[identity]))
            change = "UPDATE blob SET algorithms = ?, digests = ? WHERE sha256 = ?"
            connection.execute(change, (*columns, identity))


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


def _others(blob: Descriptor) -> _Digests:
    """The blob's digests beside SHA-256, raw."""
    every = blob.digests.items()
    return {(name, bytes.fromhex(text)) for name, text in every if name != "sha256"}


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
