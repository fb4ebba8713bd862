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

# Kept, because json.dumps would make one for every line.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


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
        if self.blob is None:
            return _line({"path": self.path, "directory": True, "mtime": self.mtime})
        own = {"path": self.path, "executable": self.executable, "mtime": self.mtime}
        return _line(own | self.blob.to_json())

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
    text = _ENCODER.encode(value)
    # A lone surrogate (a name that was never UTF-8) becomes its JSON escape.
    return text.encode(errors="backslashreplace") + b"\n"


def _value(line: bytes) -> dict[str, Any]:
    value = json.loads(line.decode())
    if not isinstance(value, dict):
        raise ValueError("a line of a manifest is a JSON object")
    return value
