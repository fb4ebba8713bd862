"""Leases in the index: which contents stay for a while, whatever expires.

A lease is a row only where no upload keeps its content for so long. By default none goes, so that
asking never writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from datetime import UTC, datetime

from httpbucket.domain.digest import Digest
from httpbucket.domain.upload import UploadId
from httpbucket.storage.sqlite_connection import Database
from httpbucket.storage.sqlite_many import rows_of_many

# Each EXISTS ends at the first upload that stays.
_STAYING = """
SELECT sha256 FROM blob WHERE (
    EXISTS (
        SELECT 1 FROM named_by_upload AS holder JOIN upload ON upload.id = holder.upload
        WHERE holder.sha256 = blob.sha256 AND (expires IS NULL OR expires >= ?1)
    ) OR EXISTS (
        SELECT 1 FROM named_by_manifest AS member
        JOIN named_by_upload AS holder ON holder.sha256 = member.manifest
        JOIN upload ON upload.id = holder.upload
        WHERE member.sha256 = blob.sha256 AND (expires IS NULL OR expires >= ?1)
    )
) AND sha256 IN ({})
"""

# Every blob of this table is named by an upload. Counted, for 100,000 rows would take longer.
_COUNT_KNOWN = "SELECT count(*) FROM blob WHERE sha256 IN ({})"

_LEASED = "SELECT sha256 FROM lease WHERE until >= ? AND sha256 IN ({})"

# From the leases, which are few, to the upload, whose tree may be large.
_UPLOAD_LEASED = """
SELECT 1 FROM lease WHERE until >= ?1 AND (
    EXISTS (SELECT 1 FROM named_by_upload WHERE (sha256, upload) = (lease.sha256, ?2)) OR EXISTS (
        SELECT 1 FROM named_by_manifest AS member
        JOIN named_by_upload AS holder ON (holder.sha256, holder.upload) = (member.manifest, ?2)
        WHERE member.sha256 = lease.sha256
    )
) LIMIT 1
"""

_EXTEND = """
INSERT INTO lease VALUES (?, ?)
ON CONFLICT (sha256) DO UPDATE SET until = max(until, excluded.until)
"""


class SqliteLeases:
    """The leases of an index."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def grant(self, blobs: Collection[bytes], *, at_least: datetime, until: datetime) -> bool:
        """Do what `Index.lease` does, where some upload may go too early."""
        with self._database.one_moment() as connection:
            needing = _needing(connection, blobs, at_least.timestamp())
        return self._write(needing, until)

    def grant_despite_uploads(
        self, blobs: Collection[bytes], *, at_least: datetime, until: datetime
    ) -> bool:
        """The same, where an upload that does not expire may go as well."""
        with self._database.one_moment() as connection:
            needing = _unleased(connection, set(blobs), at_least.timestamp())
        return self._write(needing, until)

    def _write(self, needing: Collection[bytes], until: datetime) -> bool:
        if not needing:
            return False
        with self._database.writing() as connection:
            rows = [(blob, until.timestamp()) for blob in needing]
            connection.executemany(_EXTEND, rows)
        return True

    def may_need(self, blobs: Collection[bytes], at_least: datetime) -> bool:
        """Whether any upload goes before then, or some blob is in none."""
        with self._database.reading() as connection:
            question = "SELECT 1 FROM upload WHERE expires < ? LIMIT 1"
            if connection.execute(question, (at_least.timestamp(),)).fetchall():
                return True
            distinct = set(blobs)
            counts = rows_of_many(connection, _COUNT_KNOWN, distinct)
        known: int = sum(count for (count,) in counts)
        return known < len(distinct)

    def of(self, blobs: Collection[Digest], now: datetime) -> frozenset[Digest]:
        """Those of the blobs that a lease keeps."""
        with self._database.one_moment() as connection:
            rows = _leased(connection, [blob.value for blob in blobs], now.timestamp())
        return frozenset(Digest.of("sha256", value) for (value,) in rows)

    def hold(self, upload: UploadId, now: datetime) -> bool:
        """Whether a lease keeps anything that the upload names."""
        return bool(self._database.rows(_UPLOAD_LEASED, now.timestamp(), str(upload)))

    def end(self, blobs: Collection[Digest]) -> None:
        """Forget the leases of these blobs."""
        with self._database.writing() as connection:
            rows = [(blob.value,) for blob in blobs]
            connection.executemany("DELETE FROM lease WHERE sha256 = ?", rows)

    def until(self, blob: Digest) -> datetime | None:
        """Until when a lease keeps the blob."""
        rows = self._database.rows("SELECT until FROM lease WHERE sha256 = ?", blob.value)
        return datetime.fromtimestamp(rows[0][0], UTC) if rows else None

    def forget(self, before: datetime) -> int:
        """Forget the leases that ended before then; how many those were."""
        with self._database.writing() as connection:
            ended = connection.execute("DELETE FROM lease WHERE until < ?", (before.timestamp(),))
            return ended.rowcount

    def since(self, now: datetime) -> datetime:
        """Since when no lease was lost; ``now`` where nobody asked before."""
        with self._database.writing() as connection:
            first = ("leases_since", str(now.timestamp()))
            connection.execute("INSERT OR IGNORE INTO state VALUES (?, ?)", first)
        ((since,),) = self._database.rows("SELECT value FROM state WHERE name = 'leases_since'")
        return datetime.fromtimestamp(float(since), UTC)


def _needing(
    connection: sqlite3.Connection, blobs: Collection[bytes], at_least: float
) -> set[bytes]:
    staying = rows_of_many(connection, _STAYING, blobs, at_least)
    rest = set(blobs).difference(blob for (blob,) in staying)
    return _unleased(connection, rest, at_least)


def _unleased(connection: sqlite3.Connection, blobs: set[bytes], at: float) -> set[bytes]:
    return blobs.difference(blob for (blob,) in _leased(connection, blobs, at))


def _leased(
    connection: sqlite3.Connection, blobs: Collection[bytes], at: float
) -> list[tuple[bytes]]:
    return rows_of_many(connection, _LEASED, blobs, at)
