"""Content is read once: every digest, the CRC-32 and the size in a single pass."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable


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
        """The algorithms of `digests`."""
        return tuple(self._hashers)

    def update(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next bytes of the content."""
        for hasher in self._hashers.values():
            hasher.update(piece)
        self.crc32 = zlib.crc32(piece, self.crc32)
        self.size += len(piece)

    def digests(self) -> dict[str, str]:
        """Algorithm → lower-case hex of what came so far; SHA-256 is always among them."""
        return {name: hasher.hexdigest() for name, hasher in self._hashers.items()}
