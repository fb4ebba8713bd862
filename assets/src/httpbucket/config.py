"""The settings, read once from the environment; ``docs/reference/configuration.md`` lists them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from httpbucket.domain.ability import Ability, parse_abilities
from httpbucket.domain.digest import algorithm_name
from httpbucket.domain.errors import InvalidSettings
from httpbucket.domain.origin import WebAddress
from httpbucket.domain.retention import Retention, TemplateRetention
from httpbucket.domain.size import parse_size
from httpbucket.domain.template import ReplicaTemplate

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MOST_TEMPLATES = 11


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
        reader = _Reader(environ)
        checksum_type = reader.read("CHECKSUM_TYPE", "md5", _algorithm)
        settings: dict[str, Any] = {
            "archive_dir": reader.read("ARCHIVE_DIR", "/tmp/bucket/archive", _root),
            "archive_uri": reader.read("ARCHIVE_URI", "", _location),
            "checksum_type": checksum_type,
            "digests": reader.read("DIGESTS", "md5,sha256,sha512", _algorithms),
            "max_content_length": reader.read("MAX_CONTENT_LENGTH", "32mb", _size),
            "min_free_bytes": reader.read("MIN_FREE_BYTES", "16mb", parse_size),
            "min_free_inodes": reader.read("MIN_FREE_INODES", "100", _whole),
            "max_store_bytes": reader.read("MAX_STORE_BYTES", "", _size) or None,
            "index_path": reader.read("INDEX_PATH", "", _root) or None,
            "templates": reader.read_templates(),
            "retention": reader.read_retention(),
            "collect_grace_seconds": reader.read("COLLECT_GRACE_SECONDS", "3600", _whole),
            "host": reader.read("HOST", "0.0.0.0", _host),
            "ports": reader.read("PORT", "5000", _ports),
            "workers": reader.read("WEB_CONCURRENCY", "2", _count),
            "threads": reader.read("THREADS", "16", _count),
            "fsync": reader.read("FSYNC", "on", _switch),
            "fast_head": reader.read("FAST_HEAD", "on", _switch),
            "fast_get": reader.read("FAST_GET", "on", _switch),
            "fast_upload": reader.read("FAST_UPLOAD", "on", _switch),
            "body_idle_seconds": reader.read("BODY_IDLE_SECONDS", "60", _count),
            "lease_seconds": reader.read("LEASE_SECONDS", "86400", _count),
            "partial_seconds": reader.read("PARTIAL_SECONDS", "86400", _count),
            "scrub_bytes_per_second": reader.read("SCRUB_BYTES_PER_SECOND", "20mb", _size),
            "body_min_rate": reader.read("BODY_MIN_RATE", "1kb", _size),
            "fast_bodies": reader.read("FAST_BODIES", "on", _switch),
            "fast_writes": reader.read("FAST_WRITES", "on", _switch),
            "fast_unpack": reader.read("FAST_UNPACK", "on", _switch),
            "unpack_max_bytes": reader.read("UNPACK_MAX_BYTES", "2gb", _size),
            "unpack_max_members": reader.read("UNPACK_MAX_MEMBERS", "100000", _count),
            "unpack_max_ratio": reader.read("UNPACK_MAX_RATIO", "2000", _count),
            "unpack_max_depth": reader.read("UNPACK_MAX_DEPTH", "64", _count),
            "unpack_max_path": reader.read("UNPACK_MAX_PATH", "1024", _count),
            "unpack_max_seconds": reader.read("UNPACK_MAX_SECONDS", "300", _count),
            "unpack_concurrency": reader.read("UNPACK_CONCURRENCY", "2", _count),
            "unpack_not": reader.read("UNPACK_NOT", _UNPACK_NOT, _suffixes),
            "anonymous": reader.read("ANONYMOUS", "read,upload", parse_abilities),
            "expire_interval_seconds": reader.read("EXPIRE_INTERVAL_SECONDS", "3600", _interval),
            "collect_interval_seconds": reader.read("COLLECT_INTERVAL_SECONDS", "86400", _interval),
            "scrub_interval_days": reader.read("SCRUB_INTERVAL_DAYS", "30", _interval),
            "undo_seconds": reader.read("UNDO_SECONDS", "3600", _whole),
            "content_cors": reader.read("CONTENT_CORS", "on", _switch),
            "content_origin": reader.read("CONTENT_ORIGIN", "", WebAddress.parse_origin) or None,
            "public_url": reader.read("PUBLIC_URL", "", WebAddress.parse) or None,
            "trusted_proxies": reader.read("TRUSTED_PROXIES", "", _networks) or (),
            "development": reader.read("FLASK_ENV", "production", _environment),
        }
        reader.mistakes += _told_apart(settings["content_origin"], settings["public_url"])
        if reader.mistakes:
            raise InvalidSettings(reader.mistakes)
        every = dict.fromkeys((*settings["digests"], "sha256", checksum_type))
        return cls(**settings | {"digests": tuple(every)})


_UNPACK_NOT = ".jar .war .ear .aar .whl .apk .docx .xlsx .pptx .odt .epub .nupkg .vsix"


class _Reader:
    """Reads variables one by one and collects the mistakes."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.mistakes: list[str] = []

    def read(self, name: str, default: str, parse: Callable[[str], Any]) -> Any:
        text = self._environ.get(name, "").strip() or default
        try:
            return parse(text) if text else ""
        except ValueError as error:
            self.mistakes += [f"{name}: {line.rstrip('.')}." for line in str(error).splitlines()]
            return parse(default) if default else ""

    def read_templates(self) -> tuple[ReplicaTemplate, ...]:
        names = (f"REPLICATE_{number}" for number in range(_MOST_TEMPLATES))
        texts = {name: self._environ.get(name, "").strip() for name in names}
        read = [self.read(name, "", ReplicaTemplate.parse) for name, text in texts.items() if text]
        beyond = [
            name
            for name, text in self._environ.items()
            if _beyond_last_template(name) and text.strip()
        ]
        self.mistakes += [
            f"{name}: templates are REPLICATE_0 to REPLICATE_10." for name in sorted(beyond)
        ]
        return tuple(filter(None, read))

    def read_retention(self) -> Retention:
        names = (f"REPLICATE_{number}" for number in range(_MOST_TEMPLATES))
        read = [self._read_template_retention(name) for name in names]
        return Retention(
            days=self.read("RETENTION_DAYS", "", _count) or None,
            max_days=self.read("RETENTION_MAX_DAYS", "", _count) or None,
            templates=tuple(filter(None, read)),
        )

    def _read_template_retention(self, name: str) -> TemplateRetention | None:
        days = self.read(f"{name}_DAYS", "", _count) or None
        keep = self.read(f"{name}_KEEP", "", _count) or None
        text = self._environ.get(name, "").strip()
        if (days or keep) and not text:
            self.mistakes.append(f"{name}_DAYS and {name}_KEEP say something of no template.")
        try:
            return TemplateRetention(ReplicaTemplate.parse(text), days, keep) if text else None
        except ValueError:
            # `read_templates` tells what is wrong with it.
            return None


def _beyond_last_template(name: str) -> bool:
    known = {f"REPLICATE_{number}" for number in range(_MOST_TEMPLATES)}
    return re.fullmatch(r"REPLICATE_\d+", name) is not None and name not in known


def _root(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or ".." in path.parts or "\0" in text:
        raise ValueError(f"{text!r} is not an absolute path without '..'")
    return path


def _location(text: str) -> str:
    url = urlsplit(text)
    if url.query or url.fragment:
        raise ValueError(f"{text!r} has a ? or #, behind which no path can be added")
    if "@" in url.netloc:
        raise ValueError("a user or password in it would be shown in every receipt")
    # Reading the port raises ValueError for one that is none.
    absolute = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    local = (url.scheme == "file" or not url.scheme) and url.path.startswith("/")
    if not (absolute or local):
        raise ValueError(
            f"{text!r} is neither an http, https or file URL nor an absolute directory"
        )
    return text.rstrip("/")


def _algorithm(text: str) -> str:
    algorithm = algorithm_name(text)
    if algorithm is None:
        raise ValueError(
            f"{text!r} is no digest algorithm of a fixed length; "
            "choose for example md5, sha1, sha256 or sha512"
        )
    return algorithm


def _algorithms(text: str) -> tuple[str, ...]:
    return tuple(_algorithm(name) for name in re.split(r"[,\s]+", text) if name)


def _size(text: str) -> int:
    size = parse_size(text)
    if size == 0:
        raise ValueError("0 would refuse everything; write a size above it")
    return size


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise ValueError(f"{text!r} is not a whole number above 0")
    return int(text)


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _interval(text: str) -> int:
    return 0 if text.lower() == "off" else _whole(text)


def _ports(text: str) -> tuple[int, ...]:
    ports = tuple(_port(part) for part in text.split(","))
    if len(set(ports)) != len(ports):
        raise ValueError(f"{text!r} names a port twice")
    return ports


def _port(text: str) -> int:
    if not re.fullmatch(r"\s*[0-9]{1,5}\s*", text) or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port from 0 to 65535, or several with commas")
    return int(text)


def _host(text: str) -> str:
    name = text.strip("[]")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name):
            return name
    raise ValueError(f"{text!r} is neither an address nor a host name")


def _switch(text: str) -> bool:
    switches = {"on": True, "1": True, "true": True, "yes": True}
    switches |= {"off": False, "0": False, "false": False, "no": False}
    if text.lower() not in switches:
        raise ValueError(f"{text!r} is neither on nor off")
    return switches[text.lower()]


def _suffixes(text: str) -> tuple[str, ...]:
    suffixes = tuple(part.lower() for part in re.split(r"[,\s]+", text) if part)
    strange = [part for part in suffixes if not re.fullmatch(r"(\.[^./\s]+)+", part)]
    if strange:
        raise ValueError(f"{strange[0]!r} is not a filename suffix such as .jar")
    return suffixes


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part) for part in re.split(r"[,\s]+", text) if part)


def _told_apart(contents: WebAddress | None, pages: WebAddress | None) -> list[str]:
    if contents and pages and contents.authority == pages.authority:
        return ["CONTENT_ORIGIN: it has the host and port of PUBLIC_URL; contents need their own."]
    return []


def _environment(text: str) -> bool:
    if text.lower() not in {"development", "production"}:
        raise ValueError(f"{text!r} is neither development nor production")
    return text.lower() == "development"
