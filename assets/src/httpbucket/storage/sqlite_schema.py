"""The index's tables in SQLite. A file of another version is moved aside and made anew."""

from __future__ import annotations

import re

from httpbucket.storage.sqlite_totals import TOTALS_SCHEMA

SCHEMA_VERSION = 2

SCHEMA = f"""
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
CREATE TABLE IF NOT EXISTS upload (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, expires REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS upload_by_expires ON upload (expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT NOT NULL, upload TEXT NOT NULL, PRIMARY KEY (key, upload)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lease (sha256 BLOB PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
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
{TOTALS_SCHEMA}
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""

#: What records and manifests cannot say, and is kept when everything else is read from them anew.
_STAYING = ("lease", "state")

#: Empties the index in one step, and leaves it incomplete.
ANEW = "\n".join(
    (
        "BEGIN IMMEDIATE;",
        *(
            f"DROP TABLE IF EXISTS {name};"
            for name in re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", SCHEMA)
            if name not in _STAYING
        ),
        "DELETE FROM state WHERE name IN ('complete', 'agreed_day');",
        SCHEMA.replace("BEGIN IMMEDIATE;", "", 1),
    )
)
