"""A tree that a client described by paths and digests, while some of its files are to come."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Self

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BucketError, PendingTreeNotFound
from httpbucket.domain.upload import UploadId

PENDING_TREE_FORMAT = 1

_ID = re.compile("[0-9a-f]{32}")
_NOT_ONE = (KeyError, TypeError, AttributeError, OverflowError, RecursionError, BucketError)


class WantedFile(NamedTuple):
    """A file of a tree, its path as the client wrote it (bytes that are no UTF-8 as PEP 383)."""

    path: str
    digest: Digest


@dataclass(frozen=True)
class PendingTree:
    """What is to become an upload as soon as the last of its ``files`` is kept.

    ``received`` are the contents that came for it, by the digest that it wants. ``upload`` is what
    it has become; its files are forgotten then. ``headers``, ``days`` and ``idempotency_key`` are
    those of `Terms`.
    """

    id: str
    name: str
    expires: datetime
    files: tuple[WantedFile, ...] = ()
    received: Mapping[Digest, Descriptor] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    upload: UploadId | None = None
    days: int | None = None
    idempotency_key: str | None = None

    def to_lines(self) -> Iterator[bytes]:
        """As JSON Lines: what it is, then a line for each file and for each content that came."""
        yield _line(
            {
                "format": PENDING_TREE_FORMAT,
                "id": self.id,
                "name": self.name,
                "expires": self.expires.isoformat(),
                "headers": dict(self.headers),
                "upload": str(self.upload) if self.upload else None,
                "days": self.days,
                "idempotency_key": self.idempotency_key,
            }
        )
        for wanted in self.files:
            yield _line({"path": wanted.path, "digest": str(wanted.digest)})
        for digest, blob in self.received.items():
            yield _line({"received": str(digest), **blob.to_json()})

    @classmethod
    def from_lines(cls, lines: Iterable[bytes]) -> Self:
        """Read what `to_lines` wrote. Raises ValueError for anything else."""
        rest = iter(lines)
        try:
            first = json.loads(next(rest, b""))
            if first["format"] > PENDING_TREE_FORMAT:
                raise ValueError(f"format {first['format']} is newer than this program")
            return cls._from_json(first, map(json.loads, rest))
        except _NOT_ONE as error:
            raise ValueError(f"not a pending tree: {error!r}") from error

    @classmethod
    def _from_json(cls, first: Mapping[str, Any], rest: Iterable[Mapping[str, Any]]) -> Self:
        files, received = [], {}
        for value in rest:
            if "received" in value:
                received[Digest.parse(value["received"])] = Descriptor.from_json(value)
            else:
                files.append(WantedFile(str(value["path"]), Digest.parse(value["digest"])))
        upload = first["upload"]
        return cls(
            id=checked_id(first["id"]),
            name=str(first["name"]),
            expires=datetime.fromisoformat(first["expires"]),
            files=tuple(files),
            received=received,
            headers={str(name): str(text) for name, text in first["headers"].items()},
            upload=UploadId.parse(upload) if upload else None,
            # A tree of an earlier version of this program says nothing of these.
            days=first.get("days"),
            idempotency_key=first.get("idempotency_key"),
        )


def checked_id(text: str) -> str:
    """The id of a pending tree. Raises `PendingTreeNotFound`, for none has any other text."""
    if not _ID.fullmatch(text):
        raise PendingTreeNotFound(text)
    return text


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
