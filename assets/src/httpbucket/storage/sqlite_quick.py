"""Reading the SQLite index at once or not at all."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from contextlib import AbstractContextManager, closing
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
        self._quick = self.database = _QuickDatabase(path)
        self._leases = SqliteLeases(self.database)

    def one_moment(self) -> AbstractContextManager[None]:
        return _Moment(self._quick)


class _QuickDatabase(Database):
    """Within a moment, which is one transaction, all that is beside the file is looked at once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path_text = str(path)
        # Each thread's, and empty outside of a moment.
        self._moment = threading.local()

    def begin_moment(self) -> None:
        """What is asked from now on sees what was committed before the first question."""
        self._moment.connection = self._moment.gap = None

    def end_moment(self) -> None:
        """What is asked from now on sees what was committed meanwhile."""
        connection = self._moment.connection
        self._moment.__dict__.clear()
        if connection is not None:
            try:
                connection.execute("COMMIT")
            except sqlite3.Error:
                # In a transaction that stayed open it would never see anything new.
                self.close()

    def one_moment(self) -> AbstractContextManager[sqlite3.Connection]:
        """As `Database.one_moment`; within a moment that is this one."""
        return self.reading() if self._moment.__dict__ else super().one_moment()

    def has_gap(self) -> bool:
        """As `Database.has_gap`."""
        if not self._moment.__dict__:
            return super().has_gap()
        if self._moment.gap is None:
            self._moment.gap = super().has_gap()
        return bool(self._moment.gap)

    def connection(self) -> sqlite3.Connection:
        """This thread's; raises where somebody who may wait has to make or mend something."""
        if not self._moment.__dict__:
            return self._current_connection()
        if self._moment.connection is None:
            # Before the transaction: what was mended in between would not be seen in it.
            self.has_gap()
            connection = self._current_connection()
            connection.execute("BEGIN")
            self._moment.connection = connection
        moment: sqlite3.Connection = self._moment.connection
        return moment

    def _current_connection(self) -> sqlite3.Connection:
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


class _Moment:
    """Made of a generator it would take 2 µs more, for every question that comes alone."""

    __slots__ = ("_database",)

    def __init__(self, database: _QuickDatabase) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.begin_moment()

    def __exit__(self, *_: object) -> None:
        self._database.end_moment()


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
