"""System calls of a running worker: watched, made to fail, and held against the write order."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.live.abilities import require_attaching
from tests.live.server import wait_until

WRITING = ("write", "writev", "pwrite64", "pwritev", "ftruncate", "fallocate", "fchmod")
SYNCING = ("fsync", "fdatasync", "syncfs", "sync", "sync_file_range", "msync")
NAMING = ("link", "linkat", "rename", "renameat", "renameat2", "symlink", "symlinkat")
MAKING = ("mkdir", "mkdirat", "openat")

CALLS = (*WRITING, *SYNCING, *NAMING, *MAKING, "sendto")

_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (.*)")
_BEGUN = re.compile(r"(\d+) +(\w+\(.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")
_DESCRIPTOR = re.compile(r"\b(\d+)<([^>]*?)(?: \(deleted\))?>")
_PLACE = re.compile(r'(?:AT_FDCWD(?:<[^>]*>)?|\d+<([^>]*?)(?: \(deleted\))?>), "([^"]*)"|"([^"]*)"')


@contextmanager
def attached(process: int, output: Path, *expressions: str) -> Iterator[None]:
    """Have strace look at a process and its threads; ``expressions`` are for its ``-e``."""
    told = output.with_suffix(".told")
    options = [option for expression in expressions for option in ("-e", expression)]
    command = [require_attaching(), "-f", "-y", "-s", "64", "-o", str(output), *options]
    with told.open("wb") as errors:
        tracer = subprocess.Popen([*command, "-p", str(process)], stderr=errors)
    try:
        wait_until(lambda: "attached" in told.read_text(), seconds=10, what="strace is attached")
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)


@dataclass(frozen=True)
class Call:
    """A system call that returned."""

    name: str
    arguments: str
    result: str

    @property
    def failed(self) -> bool:
        return self.result.startswith("-1")

    @property
    def descriptors(self) -> list[tuple[str, str]]:
        """The numbers of descriptors among its arguments, and what they are open on."""
        return _DESCRIPTOR.findall(self.arguments)

    @property
    def file(self) -> str:
        """What its first descriptor is open on."""
        return self.descriptors[0][1] if self.descriptors else ""

    @property
    def paths(self) -> list[str]:
        """The paths among its arguments, made absolute."""
        return [
            os.path.join(directory, name or other)  # noqa: PTH118
            for directory, name, other in _PLACE.findall(self.arguments)
        ]


def calls_in(trace: str) -> Iterator[Call]:
    """The calls of a trace by ``strace -f -y``, in the order in which they returned."""
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        if found := _BEGUN.fullmatch(line):
            begun[found[1]] = found[2]
        elif found := _RESUMED.fullmatch(line):
            yield from _whole(f"{found[1]} {begun.pop(found[1], '')}{found[2]}")
        else:
            yield from _whole(line)


def _whole(line: str) -> Iterator[Call]:
    """The call on a line, if there is one and it returned."""
    if found := _LINE.fullmatch(line):
        yield Call(found[2], found[3], found[4])


@dataclass
class WriteOrder:
    """Follows the calls of uploads to the store ``root``, and notes what comes too early or late.

    The rules: what gets a public name was synced before, a directory with all below it; every
    directory with a new name in it is synced before the answer; nothing but the index is written
    once the upload has appeared.
    """

    root: Path
    mistakes: list[str] = field(default_factory=list)
    answers: int = 0
    published: int = 0
    synced_at_once: int = 0
    _dirty: set[str] = field(default_factory=set)
    _unsynced: set[str] = field(default_factory=set)
    _open: dict[str, str] = field(default_factory=dict)
    _has_appeared: bool = False

    def follow(self, calls: Iterable[Call]) -> None:
        """Take the calls in, one after the other."""
        for call in calls:
            self._open |= dict(call.descriptors)
            if call.failed:
                continue
            if call.name in WRITING:
                self._write(call)
            elif call.name in SYNCING:
                self._sync(call)
            elif call.name in NAMING:
                self._name(call)
            elif call.name in MAKING:
                self._make(call)
            elif call.name == "sendto" and "HTTP/1.1 200" in call.arguments:
                self._answer()

    def _write(self, call: Call) -> None:
        if not self._is_ours(call.file):
            return
        self._dirty.add(call.file)
        # The mode of a new directory is no content; replicas are made once the record is there.
        if self._has_appeared and call.name != "fchmod":
            self.mistakes.append(f"{call.name} to {call.file} after the upload appeared")

    def _sync(self, call: Call) -> None:
        if call.name in {"syncfs", "sync"}:
            self.synced_at_once += 1
            self._dirty.clear()
            self._unsynced.clear()
        else:
            self._dirty.discard(call.file)
            self._unsynced.discard(call.file)

    def _name(self, call: Call) -> None:
        source, target = call.paths[0], call.paths[-1]
        if call.name.startswith("symlink"):
            source = ""
        if source.startswith("/proc/self/fd/"):
            source = self._open[source.rpartition("/")[2]]
        if source in self._dirty:
            self._dirty.add(target)
        if self._is_public(target):
            late = [one for one in (*self._dirty, *self._unsynced) if _is_within(one, source)]
            self.mistakes += [f"{target} is named, and {one} was not synced" for one in late]
        self._add_name(target)
        if call.name.startswith("rename") and _is_within(target, f"{self.root}/archive"):
            self.published += 1
            self._has_appeared = True

    def _make(self, call: Call) -> None:
        if call.name != "openat" or "O_CREAT" in call.arguments:
            self._add_name(call.paths[-1])

    def _answer(self) -> None:
        self.answers += 1
        self._has_appeared = False
        late = [one for one in (*self._dirty, *self._unsynced) if self._is_public(one)]
        self.mistakes += [f"{one} was not synced before the answer" for one in late]

    def _add_name(self, path: str) -> None:
        if self._is_ours(path):
            self._unsynced.add(path.rpartition("/")[0])

    def _is_ours(self, path: str) -> bool:
        """Whether the promise is about it: not the index, nor what only coordinates processes."""
        without = ("index.sqlite3", "locks/", "redo/")
        theirs = [f"{self.root}/private/{name}" for name in without]
        return path.startswith(f"{self.root}/") and not path.startswith(tuple(theirs))

    def _is_public(self, path: str) -> bool:
        return any(
            _is_within(path, f"{self.root}/{name}") for name in ("blob", "archive", "replica")
        )


def _is_within(path: str, directory: str) -> bool:
    return bool(directory) and (path == directory or path.startswith(f"{directory}/"))
