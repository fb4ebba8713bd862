"""What a zstd stream begins with (RFC 8878, 3.1)."""

from __future__ import annotations

from struct import unpack_from

FRAME_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_HEADER_SIZE = 8


def starts_with_skippable_frame(head: bytes) -> bool:
    """Whether a frame of metadata comes first, as ``pzstd`` writes it."""
    return head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F


def starts_with_zstd_frame(head: bytes) -> bool:
    """Whether a frame with content begins ``head``, perhaps behind skippable ones."""
    position = 0
    while starts_with_skippable_frame(head[position : position + 4]):
        if position + _SKIPPABLE_HEADER_SIZE > len(head):
            return False
        position += _SKIPPABLE_HEADER_SIZE + int(unpack_from("<I", head, position + 4)[0])
    return head.startswith(FRAME_MAGIC, position)
