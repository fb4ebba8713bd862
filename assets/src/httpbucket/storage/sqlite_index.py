"""The index in SQLite: one file, write-ahead log, one connection a thread and process.

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
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest, digest_size
from httpbucket.domain.errors import IndexNotReady
from httpbucket.domain.search import UploadFilter, as_text, searched_headers, searched_name
from httpbucket.domain.upload import NamedBlob, Record, UploadId
from httpbucket.storage.base import FoundUploads, KnownBlob, Manifest
from httpbucket.storage.sqlite_search import candidates, chosen

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1

INDEX_MODE = 0o600

#: How long a writer waits for another. Writes take well under a millisecond each.
BUSY_SECONDS = 20

#: How long a start looks for damage. A gigabyte takes several seconds.
CHECK_SECONDS = 0.3

# A file beside the index, which tells every process that it was found to be damaged.
_DAMAGED = ".damaged"

# The index that is used from then on; the next start makes one under the usual name.
_SPARE = ".spare"

# Another, which says that an upload was not taken in.
_GAP = ".gap"

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS blob (
    sha256 BLOB PRIMARY KEY, size INTEGER NOT NULL, crc32 INTEGER NOT NULL,
    media_type TEXT NOT NULL, filename TEXT NOT NULL,
    algorithms TEXT NOT NULL, digests BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alias (
    value BLOB NOT NULL, algorithm TEXT NOT NULL, sha256 BLOB NOT NULL,
    PRIMARY KEY (value, algorithm, sha256)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS upload (id TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS header (
    name TEXT NOT NULL, value TEXT NOT NULL, upload TEXT NOT NULL,
    PRIMARY KEY (name, value, upload)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS named_by_upload (
    sha256 BLOB NOT NULL, upload TEXT NOT NULL, PRIMARY KEY (sha256, upload)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS named_by_manifest (
    sha256 BLOB NOT NULL, manifest BLOB NOT NULL, PRIMARY KEY (sha256, manifest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS manifest (sha256 BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unpacked (
    sha256 BLOB NOT NULL, upload TEXT NOT NULL, PRIMARY KEY (sha256, upload)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS replica (path TEXT PRIMARY KEY, upload TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


class SqliteIndex:
    """The index in the database file at ``path``, made where it is missing.

    The write-ahead log lets readers go on while another writes. It does not work on NFS
    (https://www.sqlite.org/wal.html); without it a rollback journal is used, and readers wait.
    """

    def __init__(self, path: Path, *, write_ahead_log: bool = True) -> None:
        self._path = path
        self._damaged = self._beside(_DAMAGED)
        self._damaged_text = str(self._damaged)
        self._journal = "WAL" if write_ahead_log else "TRUNCATE"
        self._local = threading.local()

    def prepare(self) -> None:
        self.close()
        if self._damaged.exists():
            with self._told_as_not_ready():
                self._move_aside("damage was met while serving")
        try:
            with self._told_as_not_ready():
                _check(self._connection())
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

    def add(self, record: Record, manifest: Manifest | None) -> None:
        try:
            self._add(record, manifest)
        except IndexNotReady:
            # A file, because the database may be locked or full; every process sees it at once.
            with suppress(OSError):
                self._beside(_GAP).touch(INDEX_MODE)
            raise

    def _add(self, record: Record, manifest: Manifest | None) -> None:
        with self._writing() as connection:
            for named in record.named_blobs():
                _add_blob(connection, named)
                _name(connection, named.blob, record.id)
            if record.tree and manifest:
                _add_tree(connection, record.tree.manifest, manifest)
                _name(connection, record.tree.manifest, record.id)
            connection.executemany(
                "INSERT OR IGNORE INTO unpacked VALUES (?, ?)",
                [(blob.value, str(record.id)) for blob in record.sources()],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO replica VALUES (?, ?)",
                [(replica.path, str(record.id)) for replica in record.replicas],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO header VALUES (?, ?, ?)",
                [(name, value, str(record.id)) for name, value in searched_headers(record).items()],
            )
            row = (str(record.id), searched_name(record.uploaded.name))
            connection.execute("INSERT OR IGNORE INTO upload VALUES (?, ?)", row)

    def has_upload(self, upload: UploadId) -> bool:
        return bool(self._rows("SELECT 1 FROM upload WHERE id = ?", str(upload)))

    def find(self, digest: Digest) -> tuple[Digest, ...]:
        if digest.algorithm == "sha256":
            rows = self._rows("SELECT sha256 FROM blob WHERE sha256 = ?", digest.value)
        else:
            question = "SELECT sha256 FROM alias WHERE value = ? AND algorithm = ?"
            rows = self._rows(question, digest.value, digest.algorithm)
        return tuple(Digest.of("sha256", value) for (value,) in rows)

    def describe(self, blob: Digest) -> KnownBlob | None:
        rows = self._rows(
            "SELECT size, crc32, media_type, algorithms, digests, filename FROM blob"
            " WHERE sha256 = ?",
            blob.value,
        )
        for size, crc32, media_type, algorithms, digests, filename in rows:
            every = dict(_unpacked(algorithms, digests), sha256=blob.hex)
            return KnownBlob(Descriptor(every, size, crc32, media_type), filename)
        return None

    def find_unpacked(self, blob: Digest) -> tuple[UploadId, ...]:
        question = "SELECT upload FROM unpacked WHERE sha256 = ? ORDER BY upload DESC LIMIT 3"
        return tuple(UploadId(upload) for (upload,) in self._rows(question, blob.value))

    def find_replica(self, path: str) -> UploadId | None:
        rows = self._rows("SELECT upload FROM replica WHERE path = ?", path)
        return UploadId(rows[0][0]) if rows else None

    def find_uploads(self, wanted: UploadFilter, *, before: str = "", limit: int) -> FoundUploads:
        question, values = candidates(wanted, before=before)
        with self._told_as_not_ready():
            rows = self._connection().execute(question, values)
            # Closed, or a read that was not finished would keep the log from being trimmed.
            with closing(rows):
                return chosen(rows, limit)

    def blob_bytes(self) -> int:
        """The bytes of all contents that uploads name, each counted once; reads the whole table."""
        return int(self._rows("SELECT coalesce(sum(size), 0) FROM blob")[0][0])

    def is_complete(self) -> bool:
        return self._state("complete") == "1" and not self._beside(_GAP).exists()

    def agreed_day(self) -> str:
        return self._state("agreed_day")

    def mark_complete(self, *, agreed_day: str) -> None:
        with self._told_as_not_ready():
            self._beside(_GAP).unlink(missing_ok=True)
        self._set_state({"complete": "1", "agreed_day": agreed_day})

    def mark_incomplete(self) -> None:
        self._set_state({"complete": "0"})

    def close(self) -> None:
        if self._local.__dict__.get("process") == os.getpid():
            self._local.connection.close()
        self._local.__dict__.clear()

    def _state(self, name: str) -> str:
        rows = self._rows("SELECT value FROM state WHERE name = ?", name)
        return str(rows[0][0]) if rows else ""

    def _set_state(self, values: dict[str, str]) -> None:
        with self._writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", values.items())

    def _rows(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        with self._told_as_not_ready():
            return self._connection().execute(question, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._told_as_not_ready():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    @contextmanager
    def _told_as_not_ready(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if _is_damage(error):
                with suppress(OSError):
                    self._damaged.touch(INDEX_MODE)
            raise IndexNotReady(f"The index cannot answer now ({error}).") from error
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise IndexNotReady(f"The index cannot answer now ({reason}).") from error

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection, to the spare index once the usual one is damaged.

        Whoever wrote to that in the same moment had published the record before, so that those who
        fill the spare one, which they do after it was marked, find the record on the disk.
        """
        # os.path takes text; a Path would cost twice as much, for every question.
        is_damaged = os.path.exists(self._damaged_text)  # noqa: PTH110
        path = self._beside(_SPARE) if is_damaged else self._path
        if getattr(self._local, "process", None) == os.getpid() and self._local.path != path:
            with suppress(sqlite3.Error):
                self.close()
        if getattr(self._local, "process", None) != os.getpid():
            self._local.connection = _connect(path, self._journal)
            self._local.process, self._local.path = os.getpid(), path
        connection: sqlite3.Connection = self._local.connection
        return connection


def _connect(path: Path, journal: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
    try:
        _use_journal(connection, journal)
        connection.execute("PRAGMA synchronous = NORMAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(_SCHEMA)
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


def _add_blob(connection: sqlite3.Connection, named: NamedBlob) -> None:
    blob, identity = named.blob, named.blob.sha256.value
    aliases = [digest for digest in sorted(blob.all_digests()) if digest.algorithm != "sha256"]
    connection.execute(
        "INSERT INTO blob VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET"
        " algorithms = excluded.algorithms, digests = excluded.digests"
        " WHERE algorithms != excluded.algorithms",
        (
            identity,
            blob.size,
            blob.crc32,
            blob.media_type,
            # A name may hold what was never Unicode; SQLite's text may not.
            as_text(named.name),
            ",".join(digest.algorithm for digest in aliases),
            b"".join(digest.value for digest in aliases),
        ),
    )
    connection.executemany(
        "INSERT OR IGNORE INTO alias VALUES (?, ?, ?)",
        [(digest.value, digest.algorithm, identity) for digest in aliases],
    )


def _unpacked(algorithms: str, digests: bytes) -> Iterator[tuple[str, str]]:
    """The digests as `_add_blob` packed them: raw, one after the other, in the named order."""
    start = 0
    for algorithm in filter(None, algorithms.split(",")):
        end = start + (digest_size(algorithm) or 0)
        yield algorithm, digests[start:end].hex()
        start = end


def _add_tree(connection: sqlite3.Connection, blob: Descriptor, manifest: Manifest) -> None:
    """Take in a tree's members, once for each manifest, however many uploads share it."""
    row = (blob.sha256.value,)
    inserted = connection.execute("INSERT OR IGNORE INTO manifest VALUES (?)", row)
    if not inserted.rowcount:
        return
    for entry in manifest.entries:
        if entry.blob:
            _add_blob(connection, NamedBlob(entry.path.rpartition("/")[2], entry.blob))
            names = (entry.blob.sha256.value, blob.sha256.value)
            connection.execute("INSERT OR IGNORE INTO named_by_manifest VALUES (?, ?)", names)


def _name(connection: sqlite3.Connection, blob: Descriptor, upload: UploadId) -> None:
    row = (blob.sha256.value, str(upload))
    connection.execute("INSERT OR IGNORE INTO named_by_upload VALUES (?, ?)", row)
