"""Bytes in pieces that are worth a system call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def in_pieces(parts: Iterable[bytes | memoryview], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of at least ``size``; only the last may be shorter, or empty.

    >>> list(in_pieces([b"a", b"bc", b"d"], 2))
    [b'abc', b'd']
    """
    waiting = bytearray()
    for part in parts:
        waiting += part
        if len(waiting) >= size:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)
