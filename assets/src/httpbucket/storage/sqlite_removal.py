"""Taking an upload out of the index, and with it what nothing else names."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator

from httpbucket.domain.search import as_text, searched_headers
from httpbucket.domain.upload import Record
from httpbucket.storage.base import Manifest
from httpbucket.storage.sqlite_connection import Database
from httpbucket.storage.sqlite_digests import unpacked

#: Members in one transaction, so that uploads wait for some milliseconds only.
MEMBERS_AT_ONCE = 1000

_NAMED = """SELECT EXISTS (SELECT 1 FROM named_by_upload WHERE sha256 = ?1)
OR EXISTS (SELECT 1 FROM named_by_manifest WHERE sha256 = ?1)"""


def is_named(connection: sqlite3.Connection, blob: bytes) -> bool:
    """Whether an upload names the blob: as a file, as a tree's manifest or as its member."""
    (answer,) = connection.execute(_NAMED, (blob,)).fetchone()
    return bool(answer)


def remove(database: Database, record: Record, manifest: Manifest | None) -> None:
    """As `Index.remove`. An upload that shares the manifest and is added meanwhile keeps it all.

    This survives power loss, which else is no promise of the index: nobody would ever notice that
    it names an upload that is gone.
    """
    with database.reading() as connection:
        connection.execute("PRAGMA synchronous = FULL")
        try:
            _remove(database, record, manifest)
        finally:
            connection.execute("PRAGMA synchronous = NORMAL")


def _remove(database: Database, record: Record, manifest: Manifest | None) -> None:
    with database.writing() as connection:
        _remove_upload(connection, record)
        if record.manifest is None or is_named(connection, record.manifest.value):
            return
        connection.execute("DELETE FROM manifest WHERE sha256 = ?", (record.manifest.value,))
    members = _members(manifest) if manifest else recorded_members(database, record.manifest.value)
    while some := list(itertools.islice(members, MEMBERS_AT_ONCE)):
        with database.writing() as connection:
            if not remove_members(connection, record.manifest.value, some):
                return


def _remove_upload(connection: sqlite3.Connection, record: Record) -> None:
    upload = str(record.id)
    manifest = [record.manifest.value] if record.manifest else []
    named = [named.blob.sha256.value for named in record.named_blobs()]
    connection.executemany(
        "DELETE FROM named_by_upload WHERE sha256 = ? AND upload = ?",
        [(blob, upload) for blob in (*named, *manifest)],
    )
    connection.executemany(
        "DELETE FROM unpacked WHERE sha256 = ? AND upload = ?",
        [(blob.value, upload) for blob in record.sources()],
    )
    # The path may be another upload's by now.
    connection.executemany(
        "DELETE FROM replica WHERE path = ? AND upload = ?",
        [(replica.path, upload) for replica in record.replicas],
    )
    connection.executemany(
        "DELETE FROM header WHERE name = ? AND value = ? AND upload = ?",
        [(name, value, upload) for name, value in searched_headers(record).items()],
    )
    if record.idempotency_key is not None:
        row = (as_text(record.idempotency_key), upload)
        connection.execute("DELETE FROM idempotency WHERE key = ? AND upload = ?", row)
    connection.execute("DELETE FROM upload WHERE id = ?", (upload,))
    for blob in named:
        forget_unless_named(connection, blob)


def remove_members(
    connection: sqlite3.Connection, manifest: bytes, members: Iterable[bytes]
) -> bool:
    """False when the manifest has come to be named again, and its members with it."""
    if connection.execute("SELECT 1 FROM manifest WHERE sha256 = ?", (manifest,)).fetchone():
        return False
    for blob in members:
        connection.execute(
            "DELETE FROM named_by_manifest WHERE sha256 = ? AND manifest = ?", (blob, manifest)
        )
        forget_unless_named(connection, blob)
    return True


def forget_unless_named(connection: sqlite3.Connection, blob: bytes) -> None:
    """Forget a blob and its digests when nothing names it any more."""
    if is_named(connection, blob):
        return
    found = connection.execute("SELECT algorithms, digests FROM blob WHERE sha256 = ?", (blob,))
    for algorithms, digests in found.fetchall():
        for digest in unpacked(algorithms, digests):
            connection.execute(
                "DELETE FROM alias WHERE value = ? AND algorithm = ? AND sha256 = ?",
                (digest.value, digest.algorithm, blob),
            )
    connection.execute("DELETE FROM blob WHERE sha256 = ?", (blob,))


def _members(manifest: Manifest) -> Iterator[bytes]:
    return (entry.blob.sha256.value for entry in manifest.entries if entry.blob)


def recorded_members(database: Database, manifest: bytes) -> Iterator[bytes]:
    """What the index has of a manifest, by looking at all members of all trees."""
    rows = database.rows("SELECT sha256 FROM named_by_manifest WHERE manifest = ?", manifest)
    return (blob for (blob,) in rows)
