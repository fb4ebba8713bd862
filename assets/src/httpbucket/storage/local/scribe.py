"""A second process that makes files and links, so that another core than this one's is used.

Threads do not help with many small files: each call to the system is so short that giving the
interpreter's lock away and taking it again costs what the other core gains.
"""

from __future__ import annotations

import fcntl
import logging
import marshal
import os
import select
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import IO, NamedTuple

logger = logging.getLogger(__name__)

#: From so many files on it is worth to start a process.
LEAST_FILES = 500

_PROGRAM = Path(__file__).with_name("scribe_program.py")

#: What is sent at once: thirty small files, or three hundred links; some milliseconds of work.
_BUNDLE_BYTES = 64 * 1024

#: More are not sent before the first of them is answered.
_MOST_BUNDLES = 4


def has_second_processor() -> bool:
    """Whether this process may use more than one, on a system that tells."""
    return hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1


class Work(Enum):
    """What a scribe makes."""

    FILES = "files"
    LINKS = "links"


class Task(NamedTuple):
    """A file with this content, or a link to this source, that is to be made at ``target``.

    ``name`` is for who gave the task.
    """

    name: str
    target: str
    source: bytes | str


class Scribe:
    """Does tasks in their order beside this process. Used by one thread; ends with `close`.

    Modes are those that the system gives (see `Disk.make_probing`). What it cannot do, it leaves to
    who gave it: `take_undone`.
    """

    def __init__(self, process: subprocess.Popen[bytes], on_close: Callable[[], None]) -> None:
        assert process.stdin and process.stdout
        self.process = process
        self._on_close = on_close
        self._tasks: IO[bytes] = process.stdin
        self._answers: IO[bytes] = process.stdout
        self._answered = select.poll()
        self._answered.register(self._answers, select.POLLIN)
        self._bundle: list[Task] = []
        self._bundle_bytes = 0
        self._sent: deque[list[Task]] = deque()
        self._undone: list[Task] = []
        #: Nobody knows how far it came then with what is undone.
        self.is_dead = False

    def give(self, task: Task) -> bool:
        """Have a task done; False when it is too large, or there is enough to do, or it died."""
        size = len(task.target) + len(task.source)
        if size > _BUNDLE_BYTES or not self._has_time():
            return False
        self._bundle.append(task)
        self._bundle_bytes += size
        if self._bundle_bytes >= _BUNDLE_BYTES:
            self._send()
        return True

    def finish(self) -> None:
        """Return when all tasks are done, or are found to be undone."""
        if self._bundle:
            self._send()
        while self._sent:
            self._receive()

    def take_undone(self) -> list[Task]:
        """The tasks that were not done and are nobody's now, in their order."""
        undone, self._undone = self._undone, []
        return undone

    def close(self) -> None:
        """End the process; nothing of it goes on when this returns."""
        self._kill()
        self._tasks.close()
        self._answers.close()
        self._on_close()

    def _kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _has_time(self) -> bool:
        if len(self._sent) == _MOST_BUNDLES and self._answered.poll(0):
            self._receive()
        return len(self._sent) < _MOST_BUNDLES and not self.is_dead

    def _send(self) -> None:
        bundle, self._bundle, self._bundle_bytes = self._bundle, [], 0
        self._sent.append(bundle)
        # Paths as bytes: the other process may take text for names in another encoding.
        told = [(os.fsencode(task.target), os.fsencode(task.source)) for task in bundle]
        packed = memoryview(marshal.dumps(told))
        try:
            while packed:
                packed = packed[self._tasks.write(packed) :]
        except BrokenPipeError:
            self._die()

    def _receive(self) -> None:
        try:
            numbers = marshal.load(self._answers)
        except (EOFError, ValueError, TypeError):
            self._die()
        else:
            bundle = self._sent.popleft()
            self._undone += [bundle[number] for number in numbers]

    def _die(self) -> None:
        logger.warning("The process that makes files beside this one ended; this one does it all.")
        # It may be that only an answer was none.
        self._kill()
        self.is_dead = True
        self._undone += [task for bundle in (*self._sent, self._bundle) for task in bundle]
        self._sent.clear()
        self._bundle.clear()


class Scribes:
    """Starts scribes: one at a time, for one is what a second core can do.

    ``least`` is from how many files on.
    """

    def __init__(self, *, least: int = LEAST_FILES, program: Path = _PROGRAM) -> None:
        self.least = least
        self._program = program
        self._turn = threading.Lock()

    def start(self, work: Work, lock: int) -> Scribe | None:
        """A new process, unless there is one or none can be started.

        It shares the lock of the open file ``lock``: who waits for that waits for it as well.
        """
        if not self._turn.acquire(blocking=False):
            return None
        scribe = None
        try:
            scribe = Scribe(self._process(work, lock), self._turn.release)
        except OSError as error:
            logger.warning("No process could be started to make files beside this one: %s", error)
        finally:
            if scribe is None:
                self._turn.release()
        return scribe

    @contextmanager
    def at_work(self, work: Work, lock: int) -> Iterator[Scribe | None]:
        """As `start`, until the end."""
        scribe = self.start(work, lock)
        try:
            yield scribe
        finally:
            if scribe:
                scribe.close()

    def _process(self, work: Work, lock: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(self._program), work.value],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            pass_fds=[lock],
        )
        assert process.stdin
        # Else the pipe holds less than one bundle; only Linux can be asked.
        with suppress(OSError, AttributeError):
            fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, _MOST_BUNDLES * 2 * _BUNDLE_BYTES)
        return process
