"""Spare memory is bounded, and nobody's twice."""

from __future__ import annotations

import ctypes
import mmap
import threading

from httpbucket.content.crew import Crew
from httpbucket.content.hashing import ContentHasher
from httpbucket.content.parallel_hashing import ParallelHasher
from httpbucket.content.spare_memory import PIECE_BYTES, SpareMemory


def taken(memory: SpareMemory) -> list[memoryview]:
    """All that there is."""
    pieces = []
    while (piece := memory.take()) is not None:
        pieces.append(piece)
    return pieces


def test_there_are_so_many_pieces_and_no_more() -> None:
    pieces = taken(SpareMemory(pieces=3))
    assert [len(piece) for piece in pieces] == [PIECE_BYTES] * 3


def test_a_piece_begins_at_a_page() -> None:
    for piece in taken(SpareMemory(pieces=3)):
        assert ctypes.addressof(ctypes.c_char.from_buffer(piece)) % mmap.PAGESIZE == 0


def test_pieces_are_different_memory() -> None:
    first, second = taken(SpareMemory(pieces=2))
    first[:] = b"1" * PIECE_BYTES
    second[:] = b"2" * PIECE_BYTES
    assert (bytes(first[:2]), bytes(second[:2])) == (b"11", b"22")


def test_a_piece_is_free_again_when_no_view_of_it_is_held() -> None:
    memory = SpareMemory(pieces=1)
    views = [piece[10:20].toreadonly() for piece in taken(memory)]
    assert taken(memory) == []
    views.clear()
    assert len(taken(memory)) == 1
    assert len(taken(memory)) == 1


def test_it_may_be_let_go_of_in_another_thread() -> None:
    memory = SpareMemory(pieces=1)
    views = taken(memory)
    thread = threading.Thread(target=views.clear)
    thread.start()
    thread.join()
    assert len(taken(memory)) == 1


def test_what_a_crew_hashes_is_not_used_again_before() -> None:
    memory, hasher = SpareMemory(pieces=4), ParallelHasher(["md5", "sha512"], Crew(2))
    expected = ContentHasher(["md5", "sha512"])
    for number in range(30):
        piece = memory.take()
        content = bytes([number]) * PIECE_BYTES
        expected.update(content)
        if piece is None:
            hasher.update(content)
            continue
        piece[:] = content
        hasher.update(piece.toreadonly())
        del piece
    assert hasher.digests() == expected.digests()
    assert len(taken(memory)) == 4
