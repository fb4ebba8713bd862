"""Digests that clients send along with a content: every form in which HTTP writes them.

Each parser gives the digests whose algorithms are known here, leaves others out, and raises
`InvalidDigest` for what is malformed.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable

from httpbucket.domain.digest import Digest, algorithm_name, read_question
from httpbucket.domain.errors import DigestMismatch, InvalidDigest

Digests = tuple[Digest, ...]

#: Names of the registry for ``Digest`` and its successors that are not hashlib's (RFC 9530, 7.2).
#: Its other algorithms are checksums, not digests, and are passed over.
_REGISTERED = {"md5": "md5", "sha": "sha1", "sha-256": "sha256", "sha-512": "sha512"}

# A member of a dictionary (RFC 8941, 3.2): a key, a byte sequence or something else, parameters.
_MEMBER = re.compile(
    r"""[ \t]*([a-z*][a-z0-9_.*-]*)(?:=(?::([A-Za-z0-9+/=]*):|"(?:[^"\\]|\\.)*"|[^\s,;:"]+))?"""
    r"""(?:;[^,"]*)?[ \t]*(?:,|\Z)"""
)


def content_md5(text: str) -> Digests:
    """Read ``Content-MD5`` (RFC 1864).

    >>> [str(digest) for digest in content_md5("1B2M2Y8AsgTpgAmY7PhCfg==")]
    ['md5:d41d8cd98f00b204e9800998ecf8427e']
    """
    return (_from_base64("md5", text.strip()),)


def digest_fields(text: str) -> Digests:
    """Read ``Content-Digest`` or ``Repr-Digest`` (RFC 9530, 2 and 3).

    >>> [str(digest) for digest in digest_fields("md5=:1B2M2Y8AsgTpgAmY7PhCfg==:, crc32c=:AAAA:")]
    ['md5:d41d8cd98f00b204e9800998ecf8427e']
    """
    found: dict[str, Digest] = {}
    place = 0
    while place < len(text):
        member = _MEMBER.match(text, place)
        if member is None:
            raise InvalidDigest(f"{_shown(text)} is malformed; expected sha-256=:<base64>:")
        if algorithm := _REGISTERED.get(member[1]):
            found[algorithm] = _from_base64(algorithm, member[2] or "")
        place = member.end()
    return tuple(found.values())


def instance_digests(text: str) -> Digests:
    """Read ``Digest`` (RFC 3230, 4.3.2), which the fields of RFC 9530 replaced.

    >>> [str(digest) for digest in instance_digests("MD5=1B2M2Y8AsgTpgAmY7PhCfg==,UNIXsum=7")]
    ['md5:d41d8cd98f00b204e9800998ecf8427e']
    """
    pairs = [one.strip().partition("=") for one in text.split(",") if one.strip()]
    if not all(equals for _, equals, _ in pairs):
        raise InvalidDigest(f"{_shown(text)} is malformed; expected SHA-256=<base64>")
    known = ((_REGISTERED.get(name.lower()), value) for name, _, value in pairs)
    return tuple(_from_base64(algorithm, value) for algorithm, value in known if algorithm)


def in_hex(algorithm: str) -> Callable[[str], Digests]:
    """A parser of bare hex of this algorithm, as ``X-Checksum-Sha256`` holds it."""

    def parse(text: str) -> Digests:
        return (Digest.parse(f"{algorithm}:{text.strip()}"),)

    return parse


def named_digest(text: str) -> Digests:
    """Read ``algorithm:hex``; nothing, when the algorithm is not known here.

    >>> named_digest("blake3:00"), [digest.algorithm for digest in named_digest("MD5:" + "0" * 32)]
    ((), ['md5'])
    """
    algorithm, colon, _ = text.strip().partition(":")
    if not colon:
        raise InvalidDigest(f"{_shown(text)} is malformed; expected for example sha256:9f86…")
    return (Digest.parse(text.strip()),) if algorithm_name(algorithm) else ()


def checksum(text: str, *, preferred: str) -> Digests:
    """Read ``algorithm:hex``, or bare hex of the likeliest algorithm of that length."""
    if ":" in text:
        return named_digest(text)
    return read_question(text.strip(), preferred=preferred)[:1]


def require_equal(expected: Digest, actual: Digest, *, what: str = "file") -> None:
    """Raises `DigestMismatch` unless the ``what`` came with the digest that was sent along."""
    if actual != expected:
        raise DigestMismatch(
            f"The {what} came as {actual}, but {expected} was sent along; nothing was kept.",
            expected=str(expected),
            actual=str(actual),
        )


def distinct(digests: Iterable[Digest]) -> Digests:
    """Each digest once, in order."""
    return tuple(dict.fromkeys(digests))


def _from_base64(algorithm: str, text: str) -> Digest:
    try:
        value = b64decode(text, validate=True)
    except ValueError:
        value = b""
    if not value:
        raise InvalidDigest(f"{_shown(text)} is not the base64 of a digest ({algorithm}).")
    return Digest.parse(str(Digest.of(algorithm, value)))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
