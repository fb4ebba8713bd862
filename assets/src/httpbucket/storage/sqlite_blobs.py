"""How the index takes in blobs: many rows of one table at a time, in the order of its keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.manifest import ManifestEntry
from httpbucket.domain.search import as_text
from httpbucket.storage.sqlite_digests import packed, unpacked
from httpbucket.storage.sqlite_many import rows_of_many

#: How many members are held at a time: a KiB each.
_PORTION = 4096

#: The digests of a blob beside SHA-256, by algorithm; two of one algorithm may have been recorded.
_Digests = list[tuple[str, bytes]]
_BlobRow = tuple[bytes, int, int, str, str, str, bytes]


def add_blobs(
    connection: sqlite3.Connection, named: Iterable[tuple[str, Descriptor]]
) -> Collection[bytes]:
    """Take in blobs, each with a name that it has; one that is known keeps the name it had first.

    SQLite takes half the time for rows that come in the order of the table's key. Returns their
    SHA-256 in that order.
    """
    first: dict[bytes, tuple[str, Descriptor]] = {}
    digests: dict[bytes, _Digests] = {}
    for name, blob in named:
        identity, others = _identity_and_others(blob)
        if identity not in first:
            first[identity], digests[identity] = (name, blob), others
        elif others != digests[identity]:
            digests[identity] = sorted({*digests[identity], *others})
    _add_digests_to_known(connection, digests)
    identities = sorted(first)
    rows = [_row(identity, *first[identity], digests[identity]) for identity in identities]
    connection.executemany("INSERT OR IGNORE INTO blob VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    aliases = [(value, name, blob) for blob, each in digests.items() for name, value in each]
    aliases.sort()
    connection.executemany("INSERT OR IGNORE INTO alias VALUES (?, ?, ?)", aliases)
    return identities


def _add_digests_to_known(
    connection: sqlite3.Connection, digests: Mapping[bytes, _Digests]
) -> None:
    """None is ever dropped, or its alias would outlive the blob."""
    question = "SELECT sha256, algorithms, digests FROM blob WHERE sha256 IN ({})"
    for identity, algorithms, values in rows_of_many(connection, question, digests.keys()):
        if packed(digests[identity]) == (algorithms, values):
            continue
        known = {(one.algorithm, one.value) for one in unpacked(algorithms, values)}
        if not known.issuperset(digests[identity]):
            columns = packed(sorted({*known, *digests[identity]}))
            change = "UPDATE blob SET algorithms = ?, digests = ? WHERE sha256 = ?"
            connection.execute(change, (*columns, identity))


def add_members(
    connection: sqlite3.Connection, manifest: bytes, entries: Iterable[ManifestEntry]
) -> None:
    """Take in the files of the tree whose manifest has this SHA-256."""
    files = ((entry.path, entry.blob) for entry in entries if entry.blob)
    while portion := list(islice(files, _PORTION)):
        named = ((path.rpartition("/")[2], blob) for path, blob in portion)
        members = add_blobs(connection, named)
        connection.executemany(
            "INSERT OR IGNORE INTO named_by_manifest VALUES (?, ?)",
            [(member, manifest) for member in members],
        )


def _identity_and_others(blob: Descriptor) -> tuple[bytes, _Digests]:
    """The blob's SHA-256, and its other digests in order; raw."""
    raw = {name: bytes.fromhex(text) for name, text in blob.digests.items()}
    identity = raw.pop("sha256")
    return identity, sorted(raw.items())


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
