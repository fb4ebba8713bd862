"""The index's database file: one connection a thread and process, write-ahead log, damage.

SQLite's locks belong to the process and vanish when any descriptor of the file is closed, and a
connection must not cross a fork (https://www.sqlite.org/howtocorrupt.html, 2.2 and 2.6). Hence no
connection is shared, closed by another, or used in a process that did not open it.

Statements commit one by one (autocommit); what writes more begins IMMEDIATE, because a transaction
that reads first and then writes fails at once when another came between, whatever the time-out.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from httpbucket.domain.errors import IndexNotReady
from httpbucket.storage.sqlite_schema import ANEW, SCHEMA, SCHEMA_VERSION

logger = logging.getLogger(__name__)

INDEX_MODE = 0o600

#: How long a writer waits for another. Writes take well under a millisecond each.
BUSY_SECONDS = 20

#: How long a start looks for damage.
CHECK_SECONDS = 0.1

#: A larger index is not looked through at start. Up to SQLite 3.40 the walk through all its pages
#: is a single step that nothing interrupts: it took 1.5 s where they were not in memory.
MOST_CHECKED_BYTES = 32 * 1024 * 1024

# A file beside the index, which tells every process that it was found to be damaged.
_DAMAGED = ".damaged"

# The index that is used from then on; the next start makes one under the usual name.
_SPARE = ".spare"

# Another, which says that an upload was not taken in.
_GAP = ".gap"


class Database:
    """The database file at ``path``, made where it is missing. Raises `IndexNotReady`.

    The write-ahead log lets readers go on while another writes. It does not work on NFS
    (https://www.sqlite.org/wal.html); without it a rollback journal is used, and readers wait.
    """

    def __init__(self, path: Path, *, write_ahead_log: bool = True) -> None:
        self._path = path
        self._damaged = self._beside(_DAMAGED)
        self._damaged_text = str(self._damaged)
        self._gap_text = str(self._beside(_GAP))
        self._journal = "WAL" if write_ahead_log else "TRUNCATE"
        self._local = threading.local()
        self._turn = (os.getpid(), threading.Lock())

    def prepare(self) -> None:
        """Move a file that cannot be used aside, as `Index.prepare` says."""
        self.close()
        if self._damaged.exists():
            with self._told_as_not_ready():
                self._move_aside("damage was met while serving")
        try:
            with self._told_as_not_ready():
                _check(self.connection())
        except IndexNotReady as error:
            if not _is_unusable(error.__cause__):
                raise
            self.close()
            with self._told_as_not_ready():
                self._move_aside(error)

    def _move_aside(self, reason: object) -> None:
        aside = self._beside(".unusable")
        with suppress(FileNotFoundError):
            self._path.replace(aside)
        for suffix in ("-wal", "-shm", *(f"{_SPARE}{one}" for one in ("", "-wal", "-shm"))):
            self._beside(suffix).unlink(missing_ok=True)
        # Last: until then the files above are nobody's.
        self._damaged.unlink(missing_ok=True)
        logger.warning("The index cannot be used (%s); it is moved to %s.", reason, aside.name)

    def close(self) -> None:
        """Let go of this thread's connection. The next call opens one."""
        if self._local.__dict__.get("process") == os.getpid():
            self._local.connection.close()
        self._local.__dict__.clear()

    def note_gap(self) -> None:
        """Tell every process that something is missing which may not be written here now."""
        with suppress(OSError):
            self._beside(_GAP).touch(INDEX_MODE)

    def has_gap(self) -> bool:
        """Whether that was told, and not yet mended."""
        return os.access(self._gap_text, os.F_OK)

    def forget_gap(self) -> None:
        """What was missing is there."""
        with self._told_as_not_ready():
            self._beside(_GAP).unlink(missing_ok=True)

    def is_damaged(self) -> bool:
        """Whether the usual file was found to be damaged."""
        # os.access takes text; a Path would cost twice as much, for every question.
        return os.access(self._damaged_text, os.F_OK)

    def rows(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """Every row of the answer."""
        with self.reading() as connection:
            return connection.execute(question, values).fetchall()

    def reading(self) -> _Reading:
        """A connection to ask several things; each statement sees what was committed before it."""
        return _Reading(self)

    def one_moment(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection whose every statement sees what was committed before the first."""
        return self._in_transaction()

    @contextmanager
    def _in_transaction(self) -> Iterator[sqlite3.Connection]:
        with self.reading() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction that begins to write at once, and commits at the end."""
        with self._told_as_not_ready(), self._alone():
            connection = self.connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let this process's writers wait for each other here.

        SQLite has them sleep and try again, which takes more time, and of the processor too.
        """
        process, turn = self._turn
        if process != os.getpid():
            # Forked while some thread wrote, there would be nobody to end its turn.
            turn = threading.Lock()
            self._turn = (os.getpid(), turn)
        if not turn.acquire(timeout=BUSY_SECONDS):
            raise sqlite3.OperationalError("database is locked")
        try:
            yield
        finally:
            turn.release()

    def make_anew(self) -> None:
        """Empty all tables but those of leases and state, in one transaction."""
        with self._told_as_not_ready():
            connection = self.connection()
            try:
                connection.executescript(ANEW)
            except BaseException:
                connection.rollback()
                raise

    @contextmanager
    def _told_as_not_ready(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.tell(error)

    def tell(self, error: sqlite3.Error | OSError) -> NoReturn:
        """Raise `IndexNotReady`, and mark the file where the error tells of damage."""
        if isinstance(error, OSError):
            reason = os.strerror(error.errno or 0).lower()
            raise IndexNotReady(f"The index cannot answer now ({reason}).") from error
        if _is_damage(error):
            with suppress(OSError):
                self._damaged.touch(INDEX_MODE)
        raise IndexNotReady(f"The index cannot answer now ({error}).") from error

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)

    def connection(self) -> sqlite3.Connection:
        """This thread's and process's connection, to the spare once the usual one is damaged.

        Whoever wrote to that in the same moment had published the record before, so that those who
        fill the spare one, which they do after it was marked, find the record on the disk.
        """
        path = self._beside(_SPARE) if self.is_damaged() else self._path
        if getattr(self._local, "process", None) == os.getpid() and self._local.path != path:
            with suppress(sqlite3.Error):
                self.close()
        if getattr(self._local, "process", None) != os.getpid():
            self._local.connection = _connect(path, self._journal)
            self._local.process, self._local.path = os.getpid(), path
        connection: sqlite3.Connection = self._local.connection
        return connection


class _Reading:
    """What `Database.reading` says; made of a generator it would take 3 µs for every question."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        try:
            return self._database.connection()
        except (sqlite3.Error, OSError) as error:
            self._database.tell(error)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, sqlite3.Error | OSError):
            self._database.tell(error)


def _connect(path: Path, journal: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
    try:
        _use_journal(connection, journal)
        connection.execute("PRAGMA synchronous = NORMAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(SCHEMA)
            path.chmod(INDEX_MODE)
        elif version != SCHEMA_VERSION:
            raise sqlite3.NotSupportedError(f"schema {version}, not {SCHEMA_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _use_journal(connection: sqlite3.Connection, mode: str) -> None:
    """Waits by itself: SQLite does not, when two connections change the journal of a new file."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode = {mode}")
            return
        except sqlite3.OperationalError as error:
            if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.005)


def _check(connection: sqlite3.Connection) -> None:
    """Look for damage for a while; what a large index hides longer is met while serving."""
    if _size(connection) > MOST_CHECKED_BYTES:
        return
    deadline = time.monotonic() + CHECK_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if _primary_code(error) != sqlite3.SQLITE_INTERRUPT:
            raise
    else:
        if answer != "ok":
            raise _Damaged(answer)
    finally:
        connection.set_progress_handler(None, 0)


def _size(connection: sqlite3.Connection) -> int:
    """The file's size in bytes, as far as it is not in the log."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(page_size)


class _Damaged(sqlite3.DatabaseError):
    """The file is an index whose pages contradict each other."""


def _is_unusable(error: BaseException | None) -> bool:
    """Whether the file is no database, a damaged one, or one of another schema; not just busy."""
    return _is_damage(error) or isinstance(error, sqlite3.NotSupportedError | _Damaged)


def _is_damage(error: BaseException | None) -> bool:
    return _primary_code(error) in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}


def _primary_code(error: BaseException | None) -> int:
    """The result code without its extension (https://www.sqlite.org/rescode.html)."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
