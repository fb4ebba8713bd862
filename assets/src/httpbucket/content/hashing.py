"""Content is read once: every digest, the CRC-32 and the size in a single pass."""

from __future__ import annotations

import functools
import hashlib
import zlib
from collections.abc import Callable, Iterable
from typing import BinaryIO, Protocol

_PIECE = 1024 * 1024


class Hasher(Protocol):
    """Takes a content piece by piece, in one thread, and tells what it comes to."""

    @property
    def size(self) -> int:
        """The bytes that came so far."""
        ...

    @property
    def crc32(self) -> int:
        """Their CRC-32."""
        ...

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms of `digests`."""
        ...

    def update(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next bytes. What cannot be written to stays as it is while it is held."""
        ...

    def digests(self) -> dict[str, str]:
        """Algorithm → lower-case hex of what came so far; SHA-256 is always among them."""
        ...

    def close(self) -> None:
        """Let go of what computes; nothing is asked any more."""
        ...


class ContentHasher:
    """Feeds each piece of a content to every hasher.

    >>> hasher = ContentHasher(["md5"])
    >>> hasher.update(b"abc")
    >>> hasher.size, f"{hasher.crc32:08x}", hasher.digests()["md5"]
    (3, '352441c2', '900150983cd24fb0d6963f7d28e17f72')
    """

    def __init__(self, algorithms: Iterable[str]) -> None:
        names = dict.fromkeys((*algorithms, "sha256"))
        self._hashers = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        self.size = 0
        self.crc32 = 0

    @property
    def algorithms(self) -> tuple[str, ...]:
        return tuple(self._hashers)

    def update(self, piece: bytes | bytearray | memoryview) -> None:
        for hasher in self._hashers.values():
            hasher.update(piece)
        self.crc32 = zlib.crc32(piece, self.crc32)
        self.size += len(piece)

    def parts(self) -> tuple[Callable[[bytes | bytearray | memoryview], None], ...]:
        """Takers of the next bytes, which may run beside each other; none of them counts.

        They take about as long as each other: SHA-256 is faster than most and has the CRC-32.
        """
        others = (hasher for name, hasher in self._hashers.items() if name != "sha256")
        return (self._update_identity, *(hasher.update for hasher in others))

    def _update_identity(self, piece: bytes | bytearray | memoryview) -> None:
        self._hashers["sha256"].update(piece)
        self.crc32 = zlib.crc32(piece, self.crc32)

    def digests(self) -> dict[str, str]:
        return {name: hasher.hexdigest() for name, hasher in self._hashers.items()}

    def close(self) -> None:
        """Nothing is held."""


def digests_of(content: bytes, algorithms: tuple[str, ...]) -> list[bytes]:
    """The raw digests of a content that is held in memory, in the order of ``algorithms``.

    For files that are many and small: it takes half of `ContentHasher`'s time.
    """
    return [new(content, usedforsecurity=False).digest() for new in _constructors(algorithms)]


@functools.lru_cache(maxsize=16)
def _constructors(algorithms: tuple[str, ...]) -> tuple[Callable[..., hashlib._Hash], ...]:
    """Where hashlib has a function of the algorithm's own, that takes half as long as ``new``."""
    return tuple(
        getattr(hashlib, name, None) or functools.partial(hashlib.new, name) for name in algorithms
    )


def hashed(
    reader: BinaryIO, algorithms: Iterable[str], on_piece: Callable[[int], None] = lambda size: None
) -> ContentHasher:
    """What is read to its end, hashed in one pass; ``on_piece`` is told of each read's bytes."""
    hasher = ContentHasher(algorithms)
    while piece := reader.read(_PIECE):
        hasher.update(piece)
        on_piece(len(piece))
    return hasher
