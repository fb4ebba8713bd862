"""Threads share arenas of glibc's malloc, so that what they freed does not pile up in each."""

from __future__ import annotations

import ctypes
import os
import platform
import threading
from functools import partial
from pathlib import Path

import pytest

from httpbucket.server.arenas import ARENAS, share_arenas
from tests.processes import in_child

THREADS = 6

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")


def arenas_of_threads(told: Path, environ: dict[str, str]) -> int:
    """The arenas of a process whose threads all allocate at the same time."""
    os.environ.update(environ)
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
    stream = ctypes.c_void_p(libc.fopen(bytes(told), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    return told.read_text().count("<heap nr=")


def test_threads_share_two_arenas(tmp_path: Path) -> None:
    assert in_child(partial(arenas_of_threads, tmp_path / "told", {})) <= ARENAS


def test_the_operator_chooses_another_number(tmp_path: Path) -> None:
    # The variable itself is read when a process starts; glibc's own number holds here.
    environ = {"MALLOC_ARENA_MAX": "16"}
    assert in_child(partial(arenas_of_threads, tmp_path / "told", environ)) > ARENAS
