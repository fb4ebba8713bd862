"""Work in forked processes, as gunicorn's workers do it; their failures become the test's."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

Result = TypeVar("Result")


def in_child(task: Callable[[], Result], *, user: int | None = None) -> Result:
    """What ``task`` returns in a forked process, which becomes ``user`` first if given."""
    (result,) = in_children([task], user=user)
    return result


def in_children(tasks: Sequence[Callable[[], Result]], *, user: int | None = None) -> list[Result]:
    """What the tasks return, each in a process of its own, all at the same time."""
    children = [_fork(task, user) for task in tasks]
    told = [_told(child, reader) for child, reader in children]
    failures = [text for text, _ in told if text]
    assert not failures, "\n".join(failures)
    return [result for _, result in told]


def was_killed(task: Callable[[], object]) -> bool:
    """Whether a forked process was killed at ``task``, rather than coming to its end."""
    child = os.fork()
    if child == 0:
        try:
            task()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, "the child failed"
    return os.WIFSIGNALED(status)


@contextmanager
def waiting_child(task: Callable[[], object]) -> Iterator[int]:
    """A process that has done ``task`` and lives until the end of the block; yields its id."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _do_and_wait(task, writer)
    os.close(writer)
    try:
        assert os.read(reader, 1) == b"+", "the child failed"
        yield child
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _fork(task: Callable[[], Result], user: int | None) -> tuple[int, int]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _do_and_tell(task, user, writer)
    os.close(writer)
    return child, reader


def _do_and_tell(task: Callable[[], object], user: int | None, writer: int) -> NoReturn:
    try:
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        told = pickle.dumps(("", task()))
    except BaseException:
        told = pickle.dumps((traceback.format_exc(), None))
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(told)
    os._exit(0)


def _told(child: int, reader: int) -> tuple[str, Any]:
    """How the task failed, or "", and its result."""
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(told) if told else ("the child was killed", None)


def _do_and_wait(task: Callable[[], object], writer: int) -> NoReturn:
    try:
        kept = task()
        os.write(writer, b"+")
        signal.pause()
        del kept
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Meanwhile this process makes files and directories under this umask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
