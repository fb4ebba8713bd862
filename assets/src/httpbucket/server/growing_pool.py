"""A pool of threads that grows with what waits, and shrinks again after a while."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

#: How long a thread beyond those that stay is kept without work. A new one has to be started, and
#: opens a connection to the index of its own.
LINGER_SECONDS = 5.0

_Task = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


class _Idle:
    """A thread without work, which sleeps on a lock of its own until it is given some."""

    __slots__ = ("awake", "task")

    def __init__(self) -> None:
        self.awake = threading.Lock()
        self.awake.acquire()
        self.task: _Task | None = None


class GrowingPool:
    """Runs each call at once in a thread, up to ``most``; ``stay`` of the threads outlive it.

    Others end when they had nothing to do for ``linger_seconds``. What gunicorn needs of
    `concurrent.futures.Executor`, which never lets a thread go, and has each of them take its turn:
    each then holds a connection to the index. Here who became idle last is the next at work.
    """

    def __init__(self, *, stay: int, most: int, linger_seconds: float = LINGER_SECONDS) -> None:
        self._stay = stay
        self._most = most
        self._linger_seconds = linger_seconds
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._waiting: deque[_Task] = deque()
        self._sleeping: list[_Idle] = []
        self._count = 0
        self._is_shut = False

    @property
    def count(self) -> int:
        """The threads that there are."""
        return self._count

    @property
    def idle(self) -> int:
        """Those of them that have nothing to do."""
        return len(self._sleeping)

    def submit(self, call: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have ``call`` done. Raises RuntimeError after `shutdown`."""
        future: Future[Any] = Future()
        with self._lock:
            if self._is_shut:
                raise RuntimeError("the pool was shut down")
            if self._sleeping:
                idle = self._sleeping.pop()
                idle.task = (future, call, args)
                idle.awake.release()
                return future
            self._waiting.append((future, call, args))
            if self._count < self._most:
                self._start()
        return future

    def shutdown(self, wait: bool = True) -> None:
        """Take no more calls, and end the threads when they have done theirs."""
        with self._lock:
            self._is_shut = True
            while self._sleeping:
                self._sleeping.pop().awake.release()
            while wait and self._count:
                self._ended.wait()

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
        """What is to be done next, waited for; None when the thread is to end."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            if self._is_shut:
                self._end()
                return None
            idle = _Idle()
            self._sleeping.append(idle)
            # Those at the bottom are woken last. So many of them as stay need not look again.
            is_one_too_many = self._count > self._stay
        while not idle.awake.acquire(timeout=self._linger_seconds if is_one_too_many else -1):
            if self._ends_for_want_of_work(idle):
                return None
        if idle.task is None:
            with self._lock:
                self._end()
        return idle.task

    def _ends_for_want_of_work(self, idle: _Idle) -> bool:
        with self._lock:
            # It may have been given some just now.
            if idle not in self._sleeping or self._count <= self._stay:
                return False
            self._sleeping.remove(idle)
            self._end()
            return True

    def _end(self) -> None:
        self._count -= 1
        self._ended.notify_all()


def _do(future: Future[Any], call: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call(*args)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
