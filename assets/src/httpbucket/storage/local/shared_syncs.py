"""One sync for all who wait for the same directory."""

from __future__ import annotations

import threading
from collections.abc import Callable


class _Turn:
    """One sync, of all who asked before it began; the first of them does it."""

    def __init__(self, before: _Turn | None) -> None:
        # The sync that was under way when this one was asked for.
        self.before = before
        self.ended = threading.Event()
        self.error: BaseException | None = None


class SharedSyncs:
    """Syncs by name, for many threads at once: who asks while one is under way waits for the next.

    Of eight uploads at the same moment each names a directory in that of the day. One sync that
    begins after all of these serves them as well as eight do.
    """

    def __init__(self, sync: Callable[[str], None]) -> None:
        self._sync = sync
        self._lock = threading.Lock()
        self._under_way: dict[str, _Turn] = {}
        self._next: dict[str, _Turn] = {}

    def sync(self, name: str) -> None:
        """Return after a sync that began after this call. Raises what that sync raised."""
        with self._lock:
            turn = self._next.get(name)
            is_first = turn is None
            if turn is None:
                turn = self._next[name] = _Turn(self._under_way.get(name))
        if is_first:
            self._lead(name, turn)
        else:
            turn.ended.wait()
        if turn.error is not None:
            raise turn.error

    def _lead(self, name: str, turn: _Turn) -> None:
        if turn.before is not None:
            turn.before.ended.wait()
            turn.before = None
        with self._lock:
            # Who comes from here on comes too late for this one.
            del self._next[name]
            self._under_way[name] = turn
        try:
            self._sync(name)
        except BaseException as error:
            turn.error = error
        finally:
            with self._lock:
                del self._under_way[name]
            turn.ended.set()
