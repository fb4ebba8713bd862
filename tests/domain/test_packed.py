"""Descriptors come out of their packed form as they went in."""

from __future__ import annotations

import pytest

from httpbucket.domain.packed import Packing
from tests.examples import descriptor


@pytest.mark.parametrize("algorithms", [(), ("md5",), ("md5", "sha256", "sha512"), ("sha1",)])
def test_what_is_packed_comes_out_again(algorithms: tuple[str, ...]) -> None:
    packing, blob = Packing(algorithms), descriptor(b"content", algorithms=algorithms)
    packed = packing.pack(blob.digests, blob.size, blob.crc32)
    assert packing.unpack(packed, blob.media_type) == blob
    assert packing.size(packed) == blob.size


def test_it_takes_little_room() -> None:
    blob = descriptor(b"content")
    packed = Packing(blob.digests).pack(blob.digests, blob.size, blob.crc32)
    assert len(packed) == 8 + 4 + 16 + 32 + 64
