"""The values of tus resumable uploads 1.0 (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import base64
import re

from httpbucket.domain.digest import Digest, digest_size
from httpbucket.domain.errors import BucketError

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
CHECKSUM_ALGORITHMS = ("md5", "sha1", "sha256", "sha512")


class InvalidTusRequest(BucketError):
    """A header of the protocol is missing or malformed."""

    problem = "invalid-tus-request"


class UnsupportedPieceType(BucketError):
    """The body is not announced as a piece of an upload."""

    problem = "unsupported-piece-type"


class UnsupportedTusVersion(BucketError):
    """The client speaks another version of the protocol, or does not say which."""

    problem = "unsupported-tus-version"


def parse_count(name: str, text: str) -> int:
    """The bytes that ``Upload-Length`` or ``Upload-Offset`` says."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise InvalidTusRequest(f"{name} is {text[:40]!r}; expected a number of bytes.")
    return int(text)


def parse_metadata(text: str) -> dict[str, str]:
    """``Upload-Metadata``: names in lower case, values as UTF-8. Raises `InvalidTusRequest`.

    >>> parse_metadata("filename YS50eHQ=,Topic")
    {'filename': 'a.txt', 'topic': ''}
    """
    pairs = (pair.split(" ") for pair in text.split(",") if text.strip())
    metadata: dict[str, str] = {}
    for name, *values in pairs:
        if not name or len(values) > 1 or name.lower() in metadata:
            raise InvalidTusRequest("Upload-Metadata is not 'name base64,name base64,…'.")
        value = _base64(values[0] if values else "", "Upload-Metadata")
        metadata[name.lower()] = value.decode(errors="replace")
    return metadata


def parse_checksum(text: str) -> Digest:
    """``Upload-Checksum``: an algorithm and base64. Raises `InvalidTusRequest`."""
    algorithm, _, value = text.strip().partition(" ")
    if algorithm not in CHECKSUM_ALGORITHMS:
        known = ", ".join(CHECKSUM_ALGORITHMS)
        raise InvalidTusRequest(f"Upload-Checksum: {algorithm[:20]!r} is none of {known}.")
    digest = _base64(value.strip(), "Upload-Checksum")
    if len(digest) != digest_size(algorithm):
        raise InvalidTusRequest(f"Upload-Checksum is not as long as {algorithm} is.")
    return Digest.of(algorithm, digest)


def _base64(text: str, header: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidTusRequest(f"{header}: {text[:40]!r} is not base64.") from None
