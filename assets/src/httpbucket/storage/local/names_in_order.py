"""The names in a directory in their order, a page at a time.

A directory has no order, so that each page takes reading all of it: 1 ms for the 2,000 uploads of a
day. Who pages through asks for the same directory again, and a day that is over does not change.
"""

from __future__ import annotations

import heapq
import os
import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import islice

from httpbucket.storage.local.settled import changed_last, had_settled

#: What is remembered: so many directories with so many names each take about 2 MiB.
DIRECTORIES = 4
MOST_NAMES = 5000

_Stamp = tuple[int, int]


class NamesInOrder:
    """Remembers the names of the directories that were asked for last; for many threads."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._remembered: OrderedDict[tuple[int, int], tuple[_Stamp, Sequence[str]]] = OrderedDict()

    def behind(self, after: str, directory: int, *, limit: int) -> list[str]:
        """The first ``limit`` names that come after ``after``, in the open directory."""
        names = self._all(directory)
        if names is not None:
            start = bisect_right(names, after)
            return list(names[start : start + limit])
        with os.scandir(directory) as found:
            return heapq.nsmallest(limit, (one.name for one in found if one.name > after))

    def _all(self, directory: int) -> Sequence[str] | None:
        """All names; None of a directory with very many."""
        status = os.fstat(directory)
        key, stamp = (status.st_dev, status.st_ino), (status.st_mtime_ns, status.st_ctime_ns)
        with self._lock:
            seen, names = self._remembered.get(key, (None, ()))
            if seen == stamp:
                self._remembered.move_to_end(key)
                return names
        is_settled = had_settled(changed_last(status), before=self._now())
        with os.scandir(directory) as found:
            names = sorted(one.name for one in islice(found, MOST_NAMES + 1))
        if len(names) > MOST_NAMES:
            return None
        if is_settled:
            self._remember(key, stamp, names)
        return names

    def _remember(self, key: tuple[int, int], stamp: _Stamp, names: Sequence[str]) -> None:
        with self._lock:
            self._remembered[key] = (stamp, names)
            self._remembered.move_to_end(key)
            while len(self._remembered) > DIRECTORIES:
                self._remembered.popitem(last=False)
