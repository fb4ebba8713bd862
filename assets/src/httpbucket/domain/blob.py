"""What is known of a blob beside its bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from httpbucket.domain.digest import Digest, sha256
from httpbucket.domain.errors import InvalidDigest

#: The media type of what nothing is known about (RFC 2046, 4.5.1).
UNKNOWN_MEDIA_TYPE = "application/octet-stream"

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob as records and manifests name it (the word is the OCI image specification's).

    ``digests`` maps algorithm to lower-case hex and always holds ``sha256``; ``size`` is bytes;
    ``crc32`` is the checksum that zip files carry (ISO 3309).
    """

    digests: Mapping[str, str]
    size: int
    crc32: int
    media_type: str

    @property
    def sha256(self) -> Digest:
        """The blob's identity."""
        return sha256(self.digests["sha256"])

    def all_digests(self) -> tuple[Digest, ...]:
        """Every recorded digest, the identity among them."""
        return tuple(
            Digest(algorithm, hexadecimal) for algorithm, hexadecimal in self.digests.items()
        )

    def to_json(self) -> dict[str, Any]:
        """The descriptor as records and manifests write it."""
        return {
            "size": self.size,
            "media_type": self.media_type,
            "crc32": f"{self.crc32:08x}",
            "digests": dict(self.digests),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises KeyError, TypeError, AttributeError, OverflowError (for infinity), ValueError or
        `InvalidDigest` for anything else.
        """
        digests = {str(name): str(text) for name, text in value["digests"].items()}
        if not _SHA256.fullmatch(digests["sha256"]):
            raise InvalidDigest("A blob's sha256 has to be 64 of 0-9 and a-f.")
        size, crc32 = int(value["size"]), int(value["crc32"], 16)
        if not (0 <= size < 2**63 and 0 <= crc32 < 2**32):
            raise ValueError("a blob's size or CRC-32 is no number that there can be")
        return cls(digests, size, crc32, media_type=str(value["media_type"]))
