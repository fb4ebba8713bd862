"""Reading the SQLite index at once or not at all."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from httpbucket.storage.sqlite_connection import Database
from httpbucket.storage.sqlite_index import SqliteIndex
from httpbucket.storage.sqlite_leases import SqliteLeases
from httpbucket.storage.sqlite_schema import SCHEMA_VERSION


class QuickIndex(SqliteIndex):
    """The index for a thread that must not wait: raises `IndexNotReady` where the other would.

    It never makes, changes or waits for the database file, and leaves one that was replaced. Of
    the port, only what reads.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.database = _QuickDatabase(path)
        self._leases = SqliteLeases(self.database)


class _QuickDatabase(Database):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path_text = str(path)

    def connection(self) -> sqlite3.Connection:
        if self.is_damaged():
            # Of the spare, who may wait asks.
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        # os.stat takes text; a Path would cost more than the call.
        status = os.stat(self._path_text)  # noqa: PTH116
        identity = (os.getpid(), status.st_dev, status.st_ino)
        if self._local.__dict__.get("identity") != identity:
            self.close()
            self._local.connection = _connect(self._path)
            self._local.process, self._local.identity = os.getpid(), identity
        connection: sqlite3.Connection = self._local.connection
        return connection


def _connect(path: Path) -> sqlite3.Connection:
    # Not "ro": a connection that may not write cannot take part in a write-ahead log by itself.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        with closing(connection.execute("PRAGMA user_version")) as rows:
            (version,) = rows.fetchone()
        if version != SCHEMA_VERSION:
            raise sqlite3.NotSupportedError(f"schema {version}, not {SCHEMA_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection
