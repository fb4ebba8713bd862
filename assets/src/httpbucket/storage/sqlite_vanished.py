"""Taking uploads out of the index of which nothing is left but what the index says."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from httpbucket.domain.upload import UploadId
from httpbucket.storage.sqlite_connection import Database
from httpbucket.storage.sqlite_many import rows_of_many
from httpbucket.storage.sqlite_removal import (
    forget_unless_named,
    is_named,
    recorded_members,
    remove_members,
)

#: The tables with rows that name an upload, and what else is in them.
_NAMING = {
    "named_by_upload": ("sha256",),
    "unpacked": ("sha256",),
    "replica": ("path",),
    "header": ("name", "value"),
    "idempotency": ("key",),
}

_Rows = Mapping[str, Sequence[tuple[Any, ...]]]


def forget_uploads(database: Database, uploads: Collection[UploadId]) -> None:
    """As `Index.forget_uploads`.

    The keys of the tables begin with something else, so all uploads share one look through each.
    """
    texts = [str(upload) for upload in uploads]
    rows: dict[str, dict[str, list[tuple[Any, ...]]]] = {one: defaultdict(list) for one in texts}
    with database.reading() as connection:
        for table, columns in _NAMING.items():
            question = f"SELECT upload, {', '.join(columns)} FROM {table} WHERE upload IN ({{}})"
            for upload, *row in rows_of_many(connection, question, texts):
                rows[upload][table].append((*row, upload))
    for upload in texts:
        _forget(database, upload, rows[upload])


def _forget(database: Database, upload: str, rows: _Rows) -> None:
    """In one transaction, so that who is stopped finds all of it again."""
    blobs = [blob for blob, _ in rows["named_by_upload"]]
    members = _members_of_manifests(database, blobs)
    with database.writing() as connection:
        for table, found in rows.items():
            fitting = " AND ".join(f"{column} = ?" for column in (*_NAMING[table], "upload"))
            connection.executemany(f"DELETE FROM {table} WHERE {fitting}", found)
        for blob in blobs:
            forget_unless_named(connection, blob)
        for manifest, named in members.items():
            _forget_tree(connection, manifest, named)
        connection.execute("DELETE FROM upload WHERE id = ?", (upload,))


def _members_of_manifests(database: Database, blobs: Collection[bytes]) -> dict[bytes, list[bytes]]:
    """Those blobs that are manifests of no other upload."""
    question = """SELECT sha256 FROM manifest WHERE sha256 IN ({})
    AND (SELECT count(*) FROM named_by_upload WHERE sha256 = manifest.sha256) = 1"""
    with database.reading() as connection:
        found = rows_of_many(connection, question, blobs)
    return {manifest: list(recorded_members(database, manifest)) for (manifest,) in found}


def _forget_tree(connection: sqlite3.Connection, manifest: bytes, members: list[bytes]) -> None:
    # Another upload may have come with the same tree meanwhile.
    if not is_named(connection, manifest):
        connection.execute("DELETE FROM manifest WHERE sha256 = ?", (manifest,))
        remove_members(connection, manifest, members)
