"""An upload that comes in pieces, over several connections."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from httpbucket.domain.errors import BucketError
from httpbucket.domain.upload import UploadId

_ID = re.compile(r"[0-9a-f]{32}")


class PartialNotFound(BucketError):
    """There is no unfinished upload of this id: it was ended, or nobody went on with it in time."""

    problem = "partial-not-found"


class PartialBusy(BucketError):
    """Another request works on this unfinished upload, and does not let go of it."""

    problem = "partial-busy"


class OffsetMismatch(BucketError):
    """The client goes on at another place than where the bytes end that came."""

    problem = "offset-mismatch"

    @classmethod
    def at(cls, asked: int, *, offset: int) -> Self:
        """The client goes on at ``asked``, not at ``offset``."""
        return cls(f"The bytes that came end at {offset}, not at {asked}.", offset=offset)


class PieceMismatch(BucketError):
    """A piece is not what its checksum says; nothing of it was taken."""

    problem = "checksum-mismatch"


@dataclass(frozen=True, slots=True)
class PartialId:
    """128 random bits, which only the client knows who began the upload."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id. Raises `PartialNotFound`, for nothing has any other text."""
        if not _ID.fullmatch(text):
            raise PartialNotFound(f"{text[:80]!r} is not the id of an unfinished upload.")
        return cls(text)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class PartialUpload:
    """What is known of an upload before its bytes came.

    ``length`` is the bytes that are to come. ``said`` is what the client says of the upload beside
    its bytes, by name in lower case; ``metadata`` the text that the protocol wants to hear again.
    ``upload`` is what it became.
    """

    id: PartialId
    length: int
    said: Mapping[str, str] = field(default_factory=dict)
    metadata: str = ""
    upload: UploadId | None = None

    def to_bytes(self) -> bytes:
        """As it lies on disk."""
        value = {
            "id": str(self.id),
            "length": self.length,
            "said": dict(self.said),
            "metadata": self.metadata,
            "upload": str(self.upload) if self.upload else None,
        }
        return json.dumps(value).encode() + b"\n"

    @classmethod
    def from_bytes(cls, text: bytes) -> Self:
        """Read what `to_bytes` wrote. Raises ValueError for anything else."""
        try:
            value = json.loads(text)
            upload = value["upload"]
            return cls(
                id=PartialId.parse(value["id"]),
                length=int(value["length"]),
                said={str(name): str(said) for name, said in value["said"].items()},
                metadata=str(value["metadata"]),
                upload=UploadId.parse(upload) if upload else None,
            )
        except (KeyError, TypeError, AttributeError, BucketError) as error:
            raise ValueError(f"not an unfinished upload: {error!r}") from error
