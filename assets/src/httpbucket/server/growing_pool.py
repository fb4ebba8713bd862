"""A pool of threads that grows with what waits, and shrinks again."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

_Task = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


class GrowingPool:
    """Runs each call at once in a thread, up to ``most``; ``stay`` of the threads outlive it.

    What gunicorn needs of `concurrent.futures.Executor`, which never lets a thread go, and has
    each of them take its turn: each then holds a connection to the index.
    """

    def __init__(self, *, stay: int, most: int) -> None:
        self._stay = stay
        self._most = most
        self._changed = threading.Condition()
        self._waiting: deque[_Task] = deque()
        self._idle = 0
        self._count = 0
        self._is_shut = False

    @property
    def count(self) -> int:
        """The threads that there are."""
        return self._count

    def submit(self, call: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have ``call`` done. Raises RuntimeError after `shutdown`."""
        future: Future[Any] = Future()
        with self._changed:
            if self._is_shut:
                raise RuntimeError("the pool was shut down")
            self._waiting.append((future, call, args))
            if self._idle >= len(self._waiting):
                self._changed.notify()
            elif self._count < self._most:
                self._start()
        return future

    def shutdown(self, wait: bool = True) -> None:
        """Take no more calls, and end the threads when they have done theirs."""
        with self._changed:
            self._is_shut = True
            self._changed.notify_all()
            while wait and self._count:
                self._changed.wait()

    def _start(self) -> None:
        # Daemons: a worker that ends does not wait for requests longer than gunicorn does.
        thread = threading.Thread(target=self._run, name="request", daemon=True)
        self._count += 1
        try:
            thread.start()
        except RuntimeError:
            # The system allows no more threads; those that there are come to it.
            self._count -= 1
            if not self._count:
                self._waiting.pop()
                raise

    def _run(self) -> None:
        while task := self._next():
            _do(*task)
            # Nothing of a request is kept alive until the next one.
            del task

    def _next(self) -> _Task | None:
        with self._changed:
            self._idle += 1
            while not self._waiting and not self._is_shut and self._idle <= self._stay:
                self._changed.wait()
            self._idle -= 1
            if self._waiting:
                return self._waiting.popleft()
            self._count -= 1
            self._changed.notify_all()
            return None


def _do(future: Future[Any], call: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call(*args)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
