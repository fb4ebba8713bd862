"""Large bodies come in memory that is used again, as far as there is any."""

from __future__ import annotations

import random

from werkzeug.test import EnvironBuilder

from httpbucket.content.spare_memory import SpareMemory
from httpbucket.services.receive import LARGE_BYTES
from httpbucket.web.request import PIECE_BYTES, BucketRequest


def asked(content: bytes) -> BucketRequest:
    return BucketRequest(EnvironBuilder(method="PUT", data=content).get_environ())


def test_a_large_body_comes_in_spare_memory() -> None:
    content = random.Random(1).randbytes(LARGE_BYTES + 5)
    memory = SpareMemory(pieces=2)
    pieces = [
        (bytes(piece), isinstance(piece, bytes)) for piece in asked(content).content(memory.take)
    ]
    assert b"".join(piece for piece, _ in pieces) == content
    assert not any(is_new for _, is_new in pieces)


def test_without_spare_memory_it_comes_in_new_one() -> None:
    content = random.Random(1).randbytes(LARGE_BYTES)
    memory = SpareMemory(pieces=1)
    held = list(asked(content).content(memory.take))
    assert b"".join(held) == content
    assert [len(piece) for piece in held[1:]] == [PIECE_BYTES] * ((len(content) >> 18) - 4)


def test_a_small_body_takes_none() -> None:
    content = random.Random(1).randbytes(LARGE_BYTES - 1)

    def refuse() -> memoryview:
        raise AssertionError("nothing is to be taken")

    assert b"".join(asked(content).content(refuse)) == content
