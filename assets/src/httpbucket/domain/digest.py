"""A digest is a type: an algorithm and lower-case hex, printed ``sha256:9f86…``."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from httpbucket.domain.errors import InvalidDigest

#: A bare hex text is tried in this order, behind the algorithm that the operator chose.
BARE_HEX_ORDER = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")

_HEX = re.compile(r"[0-9a-f]+")
_ALGORITHM = re.compile(r"[a-z0-9][a-z0-9_-]*")


def digest_size(algorithm: str) -> int | None:
    """The algorithm's digest length in bytes; None when hashlib has no such fixed-length algorithm.

    SHAKE has no length of its own and is therefore none.
    """
    known = _known_algorithm(algorithm)
    return known[1] if known else None


def algorithm_name(text: str) -> str | None:
    """The one name under which digests of this algorithm are recorded; None where there is none.

    OpenSSL knows most algorithms by several names, among them those of RFC 9530.

    >>> algorithm_name("SHA-256"), algorithm_name("sha256"), algorithm_name("shake_128")
    ('sha256', 'sha256', None)
    """
    known = _known_algorithm(text.lower())
    return known[0] if known else None


# Bounded, because clients ask for algorithms by any name that they like.
@functools.lru_cache(maxsize=64)
def _known_algorithm(name: str) -> tuple[str, int] | None:
    if not _ALGORITHM.fullmatch(name):
        return None
    try:
        hasher = hashlib.new(name, usedforsecurity=False)
    except ValueError:
        return None
    return (hasher.name, hasher.digest_size) if hasher.digest_size else None


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """What a content hashes to under one algorithm.

    >>> Digest.parse("MD5:D41D8CD98F00B204E9800998ECF8427E")
    Digest(algorithm='md5', hex='d41d8cd98f00b204e9800998ecf8427e')
    >>> str(Digest.of("md5", bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e")))
    'md5:d41d8cd98f00b204e9800998ecf8427e'
    """

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``algorithm:hex`` in either case. Raises `InvalidDigest`."""
        algorithm, colon, hexadecimal = text.lower().partition(":")
        known = _known_algorithm(algorithm) if colon else None
        if known is None:
            raise InvalidDigest(
                f"{_shown(text)} names no digest algorithm that is known here; "
                "expected <algorithm>:<hex>, for example sha256:9f86…"
            )
        name, size = known
        return cls(name, _checked_hex(hexadecimal, {size}))

    @classmethod
    def of(cls, algorithm: str, value: bytes) -> Self:
        """The digest whose raw value is ``value``."""
        return cls(algorithm, value.hex())

    @property
    def value(self) -> bytes:
        """The raw digest."""
        return bytes.fromhex(self.hex)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def sha256(hexadecimal: str) -> Digest:
    """The identity of a blob, from hex that is already known to be right."""
    return Digest("sha256", hexadecimal)


#: The identity of the content without bytes.
EMPTY = sha256(hashlib.sha256().hexdigest())


def read_question(text: str, *, preferred: str) -> tuple[Digest, ...]:
    """Read a client's ``algorithm:hex`` or bare hex as the digests that it may mean, best first.

    Bare hex means ``preferred`` when its length fits, then each algorithm of `BARE_HEX_ORDER` of
    that length. Raises `InvalidDigest` for anything else.

    >>> [d.algorithm for d in read_question("0" * 64, preferred="sha3_256")]
    ['sha3_256', 'sha256']
    """
    if ":" in text:
        return (Digest.parse(text),)
    hexadecimal = _checked_hex(text.lower(), _sizes(preferred))
    meant = algorithms_of_size(len(hexadecimal) // 2, preferred=preferred)
    return tuple(Digest(name, hexadecimal) for name in meant)


@functools.lru_cache(maxsize=64)
def _sizes(preferred: str) -> frozenset[int]:
    return frozenset(filter(None, map(digest_size, (preferred, *BARE_HEX_ORDER))))


@functools.lru_cache(maxsize=64)
def algorithms_of_size(size: int, *, preferred: str) -> tuple[str, ...]:
    """What a bare digest of ``size`` bytes may mean, in the order of `read_question`."""
    names = dict.fromkeys((preferred, *BARE_HEX_ORDER))
    return tuple(name for name in names if digest_size(name) == size)


def _checked_hex(text: str, sizes: Collection[int]) -> str:
    if len(text) // 2 in sizes and len(text) % 2 == 0 and _HEX.fullmatch(text):
        return text
    lengths = sorted(2 * size for size in sizes)
    expected = f"expected {' or '.join(map(str, lengths))} of 0-9 and a-f"
    if not _HEX.fullmatch(text):
        raise InvalidDigest(f"{_shown(text)} is not a hexadecimal digest: {expected}.")
    raise InvalidDigest(f"A digest of {len(text)} digits has the wrong length: {expected}.")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
