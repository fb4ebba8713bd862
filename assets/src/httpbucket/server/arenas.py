"""glibc's malloc, told to give back what is free, however many threads come and go.

It gives a new thread an arena of its own, up to eight for each core, and what a thread frees stays
in its arena. And once a large piece was freed, an xz dictionary of 8 MiB say, pieces of that size
come from arenas too, each of which then keeps twice as much for the next one, up to 64 MiB
(``mallopt(3)``, M_MMAP_THRESHOLD). Of a worker with 16 MiB of allocations 90 MiB were resident
after 15 minutes of mixed load on two cores, and 69 MiB with two arenas.
It costs no time that could be measured: who holds Python's lock allocates alone anyway.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

ARENAS = 2

#: Larger pieces are the system's again as soon as they are freed. Bytes are read and sent in
#: pieces of a MiB, which stay in the arenas.
_LARGEST_PIECE = 2 * 1024 * 1024
_MOST_KEPT = 4 * 1024 * 1024

#: From malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_BY_OPERATOR = ("GLIBC_TUNABLES", "MALLOC_")


def share_arenas() -> None:
    """Let all threads of this process, and of those that it forks, share two small arenas.

    It has to come before the threads. Nothing changes with another C library than glibc, nor where
    the environment says anything of malloc.
    """
    if any(name.startswith(_BY_OPERATOR) for name in os.environ):
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_PIECE)
        mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT)
