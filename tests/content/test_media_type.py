"""libmagic, asked by many threads, and about texts that cost a naive reader much."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from httpbucket.content.media_type import HEAD_BYTES, MediaTypes

HEADS = {
    b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n": "application/pdf",
    b"\x1f\x8b\x08\x00" + bytes(20): "application/gzip",
    b"plain words\n": "text/plain",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(16): "image/png",
}


def test_many_threads_get_the_right_answers() -> None:
    """Which the library itself does not promise."""
    media_types = MediaTypes()
    with ThreadPoolExecutor(16) as threads:
        asked = list(HEADS) * 500
        answers = list(threads.map(media_types.of, asked))
    assert answers == [HEADS[head] for head in asked]


@pytest.mark.parametrize("head", [b"[" * HEAD_BYTES, b"{" * HEAD_BYTES, b"1,2,3\n" * HEAD_BYTES])
def test_no_text_takes_long(head: bytes) -> None:
    media_types = MediaTypes()
    media_types.of(b"loads what it needs")
    before = time.monotonic()
    media_types.of(head[:HEAD_BYTES])
    # A guard: it takes a few milliseconds.
    assert time.monotonic() - before < 5
