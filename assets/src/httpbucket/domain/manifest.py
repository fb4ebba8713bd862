"""A manifest lists a tree: a header line, then a line for each file and each empty directory.

The format is JSON Lines, so that a manifest of any length is written and read in constant memory::

    {"format": 1, "unpacker": "1", "limits": {…}, "source": "sha256:…", "findings": […]}
    {"path": "report/index.html", "size": 5120, "executable": false, "mtime": 1795270000.0, …}
    {"path": "report/empty", "directory": true, "mtime": 1795270000.0}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BucketError
from httpbucket.domain.upload import Finding

MANIFEST_FORMAT = 1
MANIFEST_MEDIA_TYPE = "application/jsonl"

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_DECODER = json.JSONDecoder()
_quoted = json.encoder.encode_basestring


@dataclass(frozen=True, slots=True)
class ManifestHeader:
    """Where a tree came from, and under which rules it was unpacked.

    A manifest is used again for the same ``source`` only when ``unpacker`` and ``limits`` are
    those in force. ``source`` is None of a tree that came as its files.
    """

    source: Digest | None
    unpacker: str
    limits: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def to_line(self) -> bytes:
        """The header as the manifest's first line."""
        return _line(
            {
                "format": MANIFEST_FORMAT,
                "unpacker": self.unpacker,
                "limits": dict(self.limits),
                "source": str(self.source) if self.source else None,
                "findings": [finding.to_json() for finding in self.findings],
            }
        )

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read what `to_line` wrote. Raises ValueError for anything else."""
        value = _value(line)
        try:
            if value["format"] > MANIFEST_FORMAT:
                raise ValueError(
                    f"the manifest has format {value['format']}, newer than this program"
                )
            return cls(
                source=Digest.parse(value["source"]) if value["source"] else None,
                unpacker=str(value["unpacker"]),
                limits={str(name): int(limit) for name, limit in value["limits"].items()},
                findings=tuple(map(Finding.from_json, value["findings"])),
            )
        except (KeyError, TypeError, AttributeError, OverflowError, BucketError) as error:
            raise ValueError(f"not a manifest's header: {error!r}") from error


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One file of a tree, or one of its empty directories (then ``blob`` is None).

    ``path`` is relative, of safe parts joined by ``/``; ``mtime`` is seconds since 1970.
    """

    path: str
    blob: Descriptor | None
    executable: bool = False
    mtime: float = 0.0

    def to_line(self) -> bytes:
        """The entry as a line of the manifest."""
        path = _quoted(self.path)
        if self.blob is None:
            return _encoded(f'{{"path":{path},"directory":true,"mtime":{self.mtime!r}}}')
        executable = "true" if self.executable else "false"
        own = f'"path":{path},"executable":{executable},"mtime":{self.mtime!r}'
        return _encoded(f"{{{own},{_described(self.blob)}}}")

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read what `to_line` wrote. Raises ValueError for anything else."""
        value = _value(line)
        try:
            return cls(
                path=str(value["path"]),
                blob=None if value.get("directory") else Descriptor.from_json(value),
                executable=bool(value.get("executable", False)),
                mtime=float(value["mtime"]),
            )
        except (KeyError, TypeError, AttributeError, OverflowError, BucketError) as error:
            raise ValueError(f"not a manifest's entry: {error!r}") from error


def beginning_of_line(path: str) -> bytes:
    """What the line of the entry with this path begins with, as `ManifestEntry.to_line` writes it.

    >>> beginning_of_line("a/b.txt")
    b'{"path":"a/b.txt",'
    """
    return f'{{"path":{_quoted(path)},'.encode(errors="backslashreplace")


def manifest_lines(header: ManifestHeader, entries: Iterable[ManifestEntry]) -> Iterator[bytes]:
    """The manifest, line by line."""
    yield header.to_line()
    for entry in entries:
        yield entry.to_line()


def read_manifest(lines: Iterable[bytes]) -> tuple[ManifestHeader, Iterator[ManifestEntry]]:
    """The header, and the entries as they are read. Raises ValueError where a line is not one."""
    rest = iter(lines)
    header = ManifestHeader.from_line(next(rest, b""))
    return header, map(ManifestEntry.from_line, rest)


def _line(value: Mapping[str, Any]) -> bytes:
    return _encoded(_ENCODER.encode(value))


def _described(blob: Descriptor) -> str:
    """What `Descriptor.to_json` gives, written by hand: `json` takes 13 µs for a line, this 2."""
    digests = ",".join([f'"{name}":"{text}"' for name, text in blob.digests.items()])
    media_type = _quoted(blob.media_type)
    return (
        f'"size":{blob.size},"media_type":{media_type},"crc32":"{blob.crc32:08x}",'
        f'"digests":{{{digests}}}'
    )


def _encoded(text: str) -> bytes:
    # A lone surrogate (a name that was never UTF-8) becomes its JSON escape.
    return f"{text}\n".encode(errors="backslashreplace")


def _value(line: bytes) -> dict[str, Any]:
    value = _DECODER.decode(line.decode())
    if not isinstance(value, dict):
        raise ValueError("a line of a manifest is a JSON object")
    return value
