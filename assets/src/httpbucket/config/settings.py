"""The settings, read once from the environment; ``docs/reference/configuration.md`` lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from httpbucket.config import values
from httpbucket.config.values import Network
from httpbucket.config.variable_reader import VariableReader
from httpbucket.domain.ability import Ability, parse_abilities
from httpbucket.domain.errors import InvalidSettings
from httpbucket.domain.origin import WebAddress
from httpbucket.domain.retention import Retention
from httpbucket.domain.size import parse_size
from httpbucket.domain.template import ReplicaTemplate

#: Archive files that are something else to who uses them.
_UNPACK_NOT = ".jar .war .ear .aar .whl .apk .docx .xlsx .pptx .odt .epub .nupkg .vsix"


@dataclass(frozen=True)
class Settings:
    """Everything that an operator decides. Sizes are bytes, times are seconds."""

    # The store's root. Kept files are plain files below it.
    archive_dir: Path
    # Where a web server or NFS shows the same root: an absolute URL or directory, or "".
    archive_uri: str
    # The algorithm of the receipts' ``checksum``, and what bare hex means first.
    checksum_type: str
    # The digests recorded for every blob; SHA-256 and ``checksum_type`` always are.
    digests: tuple[str, ...]
    # The most file bytes that one act of a client may bring.
    max_content_length: int
    # What uploads leave free on the disk, and the most bytes of contents that the store may hold.
    min_free_bytes: int
    min_free_inodes: int
    max_store_bytes: int | None
    # The database that answers questions, where it is not to lie in the store.
    index_path: Path | None
    # Where content appears besides the archive, by request headers.
    templates: tuple[ReplicaTemplate, ...]
    # How long uploads are kept, in general and by template.
    retention: Retention
    # So long a blob that no upload names stays after anything happened to it.
    collect_grace_seconds: int
    # How often the server does in the background what the verbs do; 0: never.
    expire_interval_seconds: int
    collect_interval_seconds: int
    scrub_interval_days: int
    # Where the server listens; several ports are all served.
    host: str
    ports: tuple[int, ...]
    # Processes, and threads in each: so many requests are answered at once.
    workers: int
    threads: int
    # Whether what is acknowledged survives power loss.
    fsync: bool
    # Whether plain questions for a checksum are answered without a thread of their own.
    fast_head: bool
    # Whether answers with small files are given again without a thread of their own.
    fast_get: bool
    # Whether small files that come whole are kept without the application around it.
    fast_upload: bool
    # How long a client may send nothing in the middle of a body.
    body_idle_seconds: int
    # How long what a client was told to be here stays here.
    lease_seconds: int
    # How long an upload in pieces waits for its next one, and a tree for its files.
    partial_seconds: int
    # How much of the disk a scrub may take.
    scrub_bytes_per_second: int
    # The bytes a second that a client may fall behind by so long.
    body_min_rate: int
    # Whether bodies of a known length are read past gunicorn's buffers.
    fast_bodies: bool
    # Whether large files are written past the page cache.
    fast_writes: bool
    # Whether a second process helps to unpack archive files of many members.
    fast_unpack: bool
    # The limits of unpacking an archive file.
    unpack_max_bytes: int
    unpack_max_members: int
    unpack_max_ratio: int
    unpack_max_depth: int
    unpack_max_path: int
    unpack_max_seconds: int
    # How many files a worker unpacks at a time; each may take 80 MiB of memory.
    unpack_concurrency: int
    # Filename suffixes of archive files that stay packed unless the client asks.
    unpack_not: tuple[str, ...]
    # What clients may do that have no name.
    anonymous: tuple[Ability, ...]
    # How long a producer may take its upload back; 0: not at all.
    undo_seconds: int
    # Whether pages of any origin may read kept files, as uploaded reports read their own.
    content_cors: bool
    # An origin that serves kept files and nothing else; pages link files there. None: our own.
    content_origin: WebAddress | None
    # Where people reach the server; None: wherever each request says.
    public_url: WebAddress | None
    # The peers whose X-Forwarded-… headers are believed.
    trusted_proxies: tuple[Network, ...]
    # Reload on changes of the code.
    development: bool

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables. Raises `InvalidSettings` with every mistake, a sentence each.

        An empty variable counts as missing.
        """
        reader = VariableReader(environ)
        checksum_type = reader.read("CHECKSUM_TYPE", "md5", values.algorithm)
        settings: dict[str, Any] = {
            "archive_dir": reader.read("ARCHIVE_DIR", "/tmp/bucket/archive", values.root),
            "archive_uri": reader.read("ARCHIVE_URI", "", values.location),
            "checksum_type": checksum_type,
            "digests": reader.read("DIGESTS", "md5,sha256,sha512", values.algorithms),
            "max_content_length": reader.read("MAX_CONTENT_LENGTH", "32mb", values.size),
            "min_free_bytes": reader.read("MIN_FREE_BYTES", "16mb", parse_size),
            "min_free_inodes": reader.read("MIN_FREE_INODES", "100", values.whole),
            "max_store_bytes": reader.read("MAX_STORE_BYTES", "", values.size) or None,
            "index_path": reader.read("INDEX_PATH", "", values.root) or None,
            "templates": reader.read_templates(),
            "retention": reader.read_retention(),
            "collect_grace_seconds": reader.read("COLLECT_GRACE_SECONDS", "3600", values.whole),
            "host": reader.read("HOST", "0.0.0.0", values.host),
            "ports": reader.read("PORT", "5000", values.ports),
            "workers": reader.read("WEB_CONCURRENCY", "2", values.count),
            "threads": reader.read("THREADS", "16", values.count),
            "fsync": reader.read("FSYNC", "on", values.switch),
            "fast_head": reader.read("FAST_HEAD", "on", values.switch),
            "fast_get": reader.read("FAST_GET", "on", values.switch),
            "fast_upload": reader.read("FAST_UPLOAD", "on", values.switch),
            "body_idle_seconds": reader.read("BODY_IDLE_SECONDS", "60", values.count),
            "lease_seconds": reader.read("LEASE_SECONDS", "86400", values.count),
            "partial_seconds": reader.read("PARTIAL_SECONDS", "86400", values.count),
            "scrub_bytes_per_second": reader.read("SCRUB_BYTES_PER_SECOND", "20mb", values.size),
            "body_min_rate": reader.read("BODY_MIN_RATE", "1kb", values.size),
            "fast_bodies": reader.read("FAST_BODIES", "on", values.switch),
            "fast_writes": reader.read("FAST_WRITES", "on", values.switch),
            "fast_unpack": reader.read("FAST_UNPACK", "on", values.switch),
            "unpack_max_bytes": reader.read("UNPACK_MAX_BYTES", "2gb", values.size),
            "unpack_max_members": reader.read("UNPACK_MAX_MEMBERS", "100000", values.count),
            "unpack_max_ratio": reader.read("UNPACK_MAX_RATIO", "2000", values.count),
            "unpack_max_depth": reader.read("UNPACK_MAX_DEPTH", "64", values.depth),
            "unpack_max_path": reader.read("UNPACK_MAX_PATH", "1024", values.count),
            "unpack_max_seconds": reader.read("UNPACK_MAX_SECONDS", "300", values.count),
            "unpack_concurrency": reader.read("UNPACK_CONCURRENCY", "2", values.count),
            "unpack_not": reader.read("UNPACK_NOT", _UNPACK_NOT, values.suffixes),
            "anonymous": reader.read("ANONYMOUS", "read,upload", parse_abilities),
            "expire_interval_seconds": reader.read(
                "EXPIRE_INTERVAL_SECONDS", "3600", values.interval
            ),
            "collect_interval_seconds": reader.read(
                "COLLECT_INTERVAL_SECONDS", "86400", values.interval
            ),
            "scrub_interval_days": reader.read("SCRUB_INTERVAL_DAYS", "30", values.interval),
            "undo_seconds": reader.read("UNDO_SECONDS", "3600", values.whole),
            "content_cors": reader.read("CONTENT_CORS", "on", values.switch),
            "content_origin": reader.read("CONTENT_ORIGIN", "", WebAddress.parse_origin) or None,
            "public_url": reader.read("PUBLIC_URL", "", WebAddress.parse) or None,
            "trusted_proxies": reader.read("TRUSTED_PROXIES", "", values.networks) or (),
            "development": reader.read("FLASK_ENV", "production", values.environment),
        }
        reader.mistakes += _told_apart(settings["content_origin"], settings["public_url"])
        if reader.mistakes:
            raise InvalidSettings(reader.mistakes)
        every = dict.fromkeys((*settings["digests"], "sha256", checksum_type))
        return cls(**settings | {"digests": tuple(every)})


def _told_apart(contents: WebAddress | None, pages: WebAddress | None) -> list[str]:
    if contents and pages and contents.authority == pages.authority:
        return ["CONTENT_ORIGIN: it has the host and port of PUBLIC_URL; contents need their own."]
    return []
