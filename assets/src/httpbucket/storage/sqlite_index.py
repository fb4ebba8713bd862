"""The index in SQLite: the questions and their tables. `sqlite_connection` has the file."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import IndexNotReady
from httpbucket.domain.search import UploadFilter, as_text, searched_headers, searched_name
from httpbucket.domain.upload import Record, UploadId
from httpbucket.storage.base import FoundMany, FoundUploads, KnownBlob, Manifest, Totals
from httpbucket.storage.sqlite_blobs import add_blobs, add_members
from httpbucket.storage.sqlite_connection import Database
from httpbucket.storage.sqlite_digests import unpacked
from httpbucket.storage.sqlite_lasting import find_lasting, find_many_lasting
from httpbucket.storage.sqlite_leases import SqliteLeases
from httpbucket.storage.sqlite_many import find_many, let_go_of_pages, rows_of_many
from httpbucket.storage.sqlite_removal import is_named, remove
from httpbucket.storage.sqlite_search import find_uploads
from httpbucket.storage.sqlite_totals import as_counted, read_totals
from httpbucket.storage.sqlite_vanished import forget_uploads


class SqliteIndex:
    """The index in the database file at ``path``, made where it is missing."""

    def __init__(self, path: Path, *, write_ahead_log: bool = True) -> None:
        self.database = Database(path, write_ahead_log=write_ahead_log)
        self._leases = SqliteLeases(self.database)

    def prepare(self) -> None:
        self.database.prepare()

    def add(self, record: Record, manifest: Manifest | None) -> None:
        try:
            self._add(record, manifest)
        except IndexNotReady:
            # A file, because the database may be locked or full; every process sees it at once.
            self.database.note_gap()
            raise

    def _add(self, record: Record, manifest: Manifest | None) -> None:
        with self.database.writing() as connection:
            named_blobs = record.named_blobs()
            add_blobs(connection, ((named.name, named.blob) for named in named_blobs))
            for named in named_blobs:
                _name(connection, named.blob, record.id)
            if record.tree:
                if manifest:
                    _add_tree(connection, record.tree.manifest, manifest)
                _name(connection, record.tree.manifest, record.id)
            _insert(
                connection,
                "INSERT OR IGNORE INTO unpacked VALUES (?, ?)",
                [(blob.value, str(record.id)) for blob in record.sources()],
            )
            _insert(
                connection,
                "INSERT OR REPLACE INTO replica VALUES (?, ?)",
                [(replica.path, str(record.id)) for replica in record.replicas],
            )
            _insert(
                connection,
                "INSERT OR IGNORE INTO header VALUES (?, ?, ?)",
                [(name, value, str(record.id)) for name, value in searched_headers(record).items()],
            )
            if record.idempotency_key is not None:
                row = (as_text(record.idempotency_key), str(record.id))
                connection.execute("INSERT OR IGNORE INTO idempotency VALUES (?, ?)", row)
            connection.execute(
                # Not REPLACE, of which the triggers that count would not hear.
                "INSERT INTO upload (id, name, size, expires) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET expires = excluded.expires",
                (
                    str(record.id),
                    searched_name(record.name),
                    as_counted(record.shown_size),
                    record.expires.timestamp() if record.expires else None,
                ),
            )

    def remove(self, record: Record, manifest: Manifest | None) -> None:
        remove(self.database, record, manifest)

    def forget_uploads(self, uploads: Collection[UploadId]) -> None:
        forget_uploads(self.database, uploads)

    def forget_replica(self, path: str, upload: UploadId) -> None:
        with self.database.writing() as connection:
            row = (path, str(upload))
            connection.execute("DELETE FROM replica WHERE path = ? AND upload = ?", row)

    def unnamed(self, blobs: Sequence[Digest]) -> tuple[Digest, ...]:
        with self.database.reading() as connection:
            return tuple(blob for blob in blobs if not is_named(connection, blob.value))

    def has_upload(self, upload: UploadId) -> bool:
        return bool(self.database.rows("SELECT 1 FROM upload WHERE id = ?", str(upload)))

    def uploads(self, *, after: str = "", limit: int) -> Sequence[UploadId]:
        question = "SELECT id FROM upload WHERE id > ? ORDER BY id LIMIT ?"
        return [UploadId(upload) for (upload,) in self.database.rows(question, after, limit)]

    def find(self, digest: Digest) -> tuple[Digest, ...]:
        if digest.algorithm == "sha256":
            rows = self.database.rows("SELECT sha256 FROM blob WHERE sha256 = ?", digest.value)
        else:
            question = "SELECT sha256 FROM alias WHERE value = ? AND algorithm = ?"
            rows = self.database.rows(question, digest.value, digest.algorithm)
        return tuple(Digest.of("sha256", value) for (value,) in rows)

    def find_many(self, algorithm: str, values: Collection[bytes]) -> list[tuple[bytes, bytes]]:
        with self.database.one_moment() as connection:
            found = find_many(connection, algorithm, values)
            let_go_of_pages(connection, values)
            return found

    def find_many_lasting(
        self, algorithm: str, values: Sequence[bytes], until: datetime
    ) -> FoundMany | None:
        if self.database.has_gap():
            return None
        with self.database.one_moment() as connection:
            found = find_many_lasting(connection, algorithm, values, until.timestamp())
            let_go_of_pages(connection, values)
            return found

    def lease(
        self,
        blobs: Collection[bytes],
        *,
        at_least: datetime,
        until: datetime,
        despite_uploads: bool = False,
    ) -> bool:
        if despite_uploads:
            return self._leases.grant_despite_uploads(blobs, at_least=at_least, until=until)
        if self.is_complete() and not self._leases.may_need(blobs, at_least):
            return False
        return self._leases.grant(blobs, at_least=at_least, until=until)

    def one_moment(self) -> AbstractContextManager[None]:
        # Whoever may wait asks too long for one: the log would grow meanwhile.
        return nullcontext()

    def find_lasting(
        self, digests: Sequence[Digest], until: datetime
    ) -> Sequence[Sequence[bytes] | None]:
        # First: where it is mended between two looks, the second sees what was missing.
        if self.database.has_gap():
            return [None] * len(digests)
        with self.database.one_moment() as connection:
            return find_lasting(connection, digests, until.timestamp())

    def leased(self, blobs: Collection[Digest], *, now: datetime) -> frozenset[Digest]:
        return self._leases.of(blobs, now)

    def has_lease(self, upload: UploadId, *, now: datetime) -> bool:
        return self._leases.hold(upload, now)

    def end_leases(self, blobs: Collection[Digest]) -> None:
        self._leases.end(blobs)

    def lease_until(self, blob: Digest) -> datetime | None:
        return self._leases.until(blob)

    def forget_leases(self, *, before: datetime) -> int:
        return self._leases.forget(before)

    def leases_since(self, now: datetime) -> datetime:
        return self._leases.since(now)

    def find_retried(self, key: str, *, since: datetime) -> tuple[UploadId, ...]:
        question = "SELECT upload FROM idempotency WHERE key = ? AND upload >= ? ORDER BY upload"
        rows = self.database.rows(question, as_text(key), UploadFilter(since=since).first_id)
        return tuple(UploadId(upload) for (upload,) in rows)

    def describe_many(self, blobs: Collection[bytes]) -> Mapping[bytes, Descriptor]:
        question = f"SELECT {_DESCRIPTION} FROM blob WHERE sha256 IN ({{}})"
        with self.database.reading() as connection:
            rows = rows_of_many(connection, question, blobs)
        return {row[0]: _described(row) for row in rows}

    def describe(self, blob: Digest) -> KnownBlob | None:
        question = f"SELECT {_DESCRIPTION}, filename FROM blob WHERE sha256 = ?"
        for row in self.database.rows(question, blob.value):
            return _known(row)
        return None

    def find_unpacked(self, blob: Digest) -> tuple[UploadId, ...]:
        question = "SELECT upload FROM unpacked WHERE sha256 = ? ORDER BY upload DESC LIMIT 3"
        return tuple(UploadId(upload) for (upload,) in self.database.rows(question, blob.value))

    def find_replica(self, path: str) -> UploadId | None:
        rows = self.database.rows("SELECT upload FROM replica WHERE path = ?", path)
        return UploadId(rows[0][0]) if rows else None

    def find_uploads(self, wanted: UploadFilter, *, before: str = "", limit: int) -> FoundUploads:
        with self.database.one_moment() as connection:
            return find_uploads(connection, wanted, before=before, limit=limit)

    def totals(self) -> Totals:
        with self.database.reading() as connection:
            return read_totals(connection)

    def add_digests(self, blob: Descriptor) -> None:
        with self.database.writing() as connection:
            known = connection.execute(
                "SELECT filename FROM blob WHERE sha256 = ?", (blob.sha256.value,)
            ).fetchone()
            if known:
                add_blobs(connection, [(known[0], blob)])

    def forget_all(self) -> None:
        self.database.make_anew()

    def is_complete(self) -> bool:
        return self._state("complete") == "1" and not self.database.has_gap()

    def agreed_day(self) -> str:
        return self._state("agreed_day")

    def mark_complete(self, *, agreed_day: str) -> None:
        self.database.forget_gap()
        self._set_state({"complete": "1", "agreed_day": agreed_day})

    def mark_incomplete(self) -> None:
        self._set_state({"complete": "0"})

    def close(self) -> None:
        self.database.close()

    def _state(self, name: str) -> str:
        rows = self.database.rows("SELECT value FROM state WHERE name = ?", name)
        return str(rows[0][0]) if rows else ""

    def _set_state(self, values: dict[str, str]) -> None:
        with self.database.writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", values.items())


_DESCRIPTION = "sha256, size, crc32, media_type, algorithms, digests"


# Some contents are asked for again and again, and taking their digests apart takes 15 µs.
@functools.lru_cache(maxsize=1024)
def _known(row: tuple[Any, ...]) -> KnownBlob:
    return KnownBlob(_described(row[:-1]), row[-1])


def _described(row: Sequence[Any]) -> Descriptor:
    sha256, size, crc32, media_type, algorithms, digests = row
    every = {one.algorithm: one.hex for one in unpacked(algorithms, digests)}
    every["sha256"] = sha256.hex()
    return Descriptor(every, size, crc32, media_type)


def _add_tree(connection: sqlite3.Connection, blob: Descriptor, manifest: Manifest) -> None:
    """Take in a tree's members, once for each manifest, however many uploads share it."""
    row = (blob.sha256.value,)
    inserted = connection.execute("INSERT OR IGNORE INTO manifest VALUES (?)", row)
    if inserted.rowcount:
        add_members(connection, *row, manifest.entries)


def _insert(
    connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, ...]]
) -> None:
    """Most uploads have none of these; asking SQLite to insert nothing is no less work."""
    if rows:
        connection.executemany(statement, rows)


def _name(connection: sqlite3.Connection, blob: Descriptor, upload: UploadId) -> None:
    row = (blob.sha256.value, str(upload))
    connection.execute("INSERT OR IGNORE INTO named_by_upload VALUES (?, ?)", row)
