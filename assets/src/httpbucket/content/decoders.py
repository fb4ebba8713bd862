"""One shape for every decoder: bounded output a call, bounded memory, dropped after an error.

bz2, lzma and zstd offer that shape already; zlib gets it here.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from typing import Protocol

from httpbucket.domain.unpacking import CorruptArchive, UnsupportedArchive

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: Enough for the 64 MiB dictionary of ``xz -9``; 60 bytes of xz can ask for a GiB and more.
MAX_XZ_MEMORY = 66 * 1024 * 1024

#: 2^26 bytes: every level of zstd up to 19; ``--ultra -22`` and ``--long=27`` go beyond.
MAX_ZSTD_WINDOW_LOG = 26

# What a decoder may raise about its input. bz2 raises OSError or ValueError, lzma EOFError too.
_ERRORS = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, ValueError, EOFError)

_GZIP_WINDOW_BITS = 31
_RAW_DEFLATE_WINDOW_BITS = -15


class Decoder(Protocol):
    """Decodes one stream, once; after an exception the decoder is of no use."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before more goes in."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What followed the end of the stream in the last piece of input."""
        ...

    def decompress(self, data: bytes, /, max_length: int) -> bytes:
        """Take ``data`` in and give at most ``max_length`` bytes."""
        ...


class _Deflate:
    """zlib's decoder in the shape of the others."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, /, max_length: int) -> bytes:
        piece = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        # zlib may hold output back in its window although it took all of its input.
        self.needs_input = not self._inner.unconsumed_tail and len(piece) < max_length
        return piece


def gzip_decoder() -> Decoder:
    """Decodes one gzip member (RFC 1952), its checksum and length checked."""
    return _Deflate(_GZIP_WINDOW_BITS)


def deflate_decoder() -> Decoder:
    """Decodes raw deflate (RFC 1951), as zip files hold it."""
    return _Deflate(_RAW_DEFLATE_WINDOW_BITS)


def inflated(data: bytes, max_length: int) -> tuple[bytes, bool]:
    """At most ``max_length`` bytes out of raw deflate, and whether ``data`` ends where that does.

    For contents that are small. Raises as `decoded`.
    """
    decoder = zlib.decompressobj(_RAW_DEFLATE_WINDOW_BITS)
    try:
        content = decoder.decompress(data, max_length)
    except _ERRORS as error:
        raise _refusal(error) from error
    return content, decoder.eof and not decoder.unused_data


def bzip2_decoder() -> Decoder:
    """Decodes one bzip2 stream; it never needs more than 4 MB."""
    return bz2.BZ2Decompressor()


def xz_decoder() -> Decoder:
    """Decodes one xz stream within `MAX_XZ_MEMORY`."""
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY)


def zstd_decoder() -> Decoder:
    """Decodes one zstd frame, skippable ones too, within `MAX_ZSTD_WINDOW_LOG`."""
    limit: dict[int, int] = {zstd.DecompressionParameter.window_log_max: MAX_ZSTD_WINDOW_LOG}
    return zstd.ZstdDecompressor(options=limit)


def lzma_decoder(properties: bytes) -> Decoder:
    """Decodes the raw LZMA that five bytes of ``properties`` describe (LZMA specification, 1.1).

    Raises `UnsupportedArchive` for a dictionary beyond `MAX_XZ_MEMORY`, `CorruptArchive` for
    properties that no encoder writes.
    """
    packed, dictionary_size = properties[0], int.from_bytes(properties[1:5], "little")
    if dictionary_size > MAX_XZ_MEMORY:
        raise UnsupportedArchive(_too_much_memory())
    literal = {"lc": packed % 9, "lp": packed // 9 % 5, "pb": packed // 45}
    chain = [{"id": lzma.FILTER_LZMA1, "dict_size": max(dictionary_size, 4096), **literal}]
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)
    except (lzma.LZMAError, ValueError) as error:
        raise CorruptArchive("A member has impossible LZMA properties.") from error


def decoded(decoder: Decoder, data: bytes, max_length: int) -> bytes:
    """At most ``max_length`` bytes out of ``decoder``, which takes ``data`` in.

    Raises `CorruptArchive` or `UnsupportedArchive`; the decoder is of no use then.
    """
    try:
        return decoder.decompress(data, max_length)
    except _ERRORS as error:
        raise _refusal(error) from error


def _refusal(error: Exception) -> UnsupportedArchive | CorruptArchive:
    if "emory" in str(error):
        return UnsupportedArchive(_too_much_memory())
    return CorruptArchive(f"The compressed bytes are damaged: {error}.")


def _too_much_memory() -> str:
    return "The file was compressed with a window so large that too much memory is needed here."
