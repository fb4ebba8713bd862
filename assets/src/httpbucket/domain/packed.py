"""Descriptors as short bytes, for acts that hold a hundred thousand of them."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Mapping

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import digest_size

_SIZES = struct.Struct(">QI")


class Packing:
    """Packs descriptors that have these ``algorithms``, and SHA-256; in a fifth of their memory.

    The media type is not packed: it follows from the name or from the content.
    """

    def __init__(self, algorithms: Iterable[str]) -> None:
        self.algorithms = tuple(dict.fromkeys((*algorithms, "sha256")))
        ends = list(itertools.accumulate(map(_digest_size, self.algorithms), initial=_SIZES.size))
        self._places = tuple(zip(self.algorithms, ends, ends[1:], strict=False))

    def pack(self, digests: Mapping[str, str], size: int, crc32: int) -> bytes:
        """What is known of a content, as bytes."""
        raw = (bytes.fromhex(digests[algorithm]) for algorithm in self.algorithms)
        return self.pack_raw(raw, size, crc32)

    def pack_raw(self, digests: Iterable[bytes], size: int, crc32: int) -> bytes:
        """As `pack`; the digests come raw, in the order of ``algorithms``."""
        return _SIZES.pack(size, crc32) + b"".join(digests)

    def unpack(self, packed: bytes, media_type: str) -> Descriptor:
        """The descriptor that was packed."""
        size, crc32 = _SIZES.unpack_from(packed)
        digests = {name: packed[start:end].hex() for name, start, end in self._places}
        return Descriptor(digests, size, crc32, media_type)

    def size(self, packed: bytes) -> int:
        """The bytes of the content."""
        return int(_SIZES.unpack_from(packed)[0])


def _digest_size(algorithm: str) -> int:
    return digest_size(algorithm) or 0
