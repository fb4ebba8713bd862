"""Telling who holds something that somebody else waits for it, in whatever process that is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: How often who holds something looks whether it is wanted.
LOOK_SECONDS = 0.1


class WantedWatch:
    """Looks for marks, files that others make to say that they wait; one thread a process.

    The thread lives only as long as there is something to look for.
    """

    def __init__(self) -> None:
        self._callbacks: dict[Path, Callable[[], None]] = {}
        self._guard = threading.Lock()
        self._looking = False

    @contextmanager
    def watching(self, mark: Path, callback: Callable[[], None]) -> Iterator[None]:
        """Within, call ``callback`` whenever the mark is there, and take the mark away."""
        with self._guard:
            self._callbacks[mark] = callback
            if not self._looking:
                self._looking = True
                threading.Thread(target=self._look, name="wanted", daemon=True).start()
        try:
            yield
        finally:
            with self._guard:
                del self._callbacks[mark]

    def _look(self) -> None:
        pause = threading.Event()
        while True:
            with self._guard:
                if not self._callbacks:
                    self._looking = False
                    return
                for mark, callback in self._callbacks.items():
                    with suppress(FileNotFoundError):
                        mark.unlink()
                        callback()
            pause.wait(LOOK_SECONDS)
