"""Threads share arenas of glibc's malloc, which keep little of what was freed."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from httpbucket.server.arenas import ARENAS, share_arenas
from tests.live.upkeep import rss

ROOT = Path(__file__).parents[2]
THREADS = 6
MIB = 1024**2

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")


def in_new_process(call: Callable[[], int], **environ: str) -> int:
    """What it returns where no thread was before, as many were in the tests' own process."""
    told = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import *; print({call.__name__}())"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'assets/src'}:{ROOT}", **environ},
        check=True,
        capture_output=True,
        text=True,
    )
    return int(told.stdout)


def arenas_of_threads() -> int:
    """The arenas of a process whose threads all allocate at the same time."""
    share_arenas()
    together = threading.Barrier(THREADS)
    libc = ctypes.CDLL(None)

    def allocate() -> None:
        together.wait()
        kept = bytes(100_000)
        together.wait()
        del kept

    threads = [threading.Thread(target=allocate) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    libc.fopen.restype = ctypes.c_void_p
    with tempfile.NamedTemporaryFile("r") as told:
        stream = ctypes.c_void_p(libc.fopen(told.name.encode(), b"w"))
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        return told.read().count("<heap nr=")


def test_threads_share_two_arenas() -> None:
    assert in_new_process(arenas_of_threads) <= ARENAS


def test_the_operator_chooses_another_number() -> None:
    assert in_new_process(arenas_of_threads, MALLOC_ARENA_MAX="4") > ARENAS


def growth_by_large_pieces() -> int:
    """What stays resident of pieces as decoders need them, after all of them are freed."""
    share_arenas()
    before = rss(os.getpid())
    for _ in range(3):
        pieces = [bytearray(8 * MIB) for _ in range(4)]
        for piece in pieces:
            piece[::4096] = b"x" * len(piece[::4096])
        # Held below the top of the arena by what is allocated last.
        pieces = [bytearray(1000) for _ in range(1000)]
    del piece, pieces
    return rss(os.getpid()) - before


def test_large_pieces_are_given_back() -> None:
    assert in_new_process(growth_by_large_pieces) < 8 * MIB
