"""The run: round after round, every work by every contestant in turn, on fresh servers.

So a machine that is busy for a while slows all of them. What fails is noted, and the rest goes on.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.benchmark import machine
from tests.benchmark.contents import Contents, make
from tests.benchmark.results import Results, Sample
from tests.benchmark.scale import MIB, Scale
from tests.benchmark.servers import NotOffered, NotRunning, Server, stop_all
from tests.benchmark.work import Stage, Work


def run(
    directory: Path,
    scale: Scale,
    works: Sequence[Work],
    servers: Sequence[type[Server]],
    *,
    say: Callable[[str], None],
    keep: Callable[[Results], None] = lambda _: None,
) -> Results:
    """Measure all of it below ``directory``; ``keep`` gets the results after each round."""
    facts = {**machine.description(), "file system": machine.file_system_of(directory)}
    results = Results(scale.name, facts)
    this = _Run(directory, scale, works, servers, make(directory, scale), results)
    try:
        this.run_rounds(say, keep)
    finally:
        this.clear()
    return results


@dataclass(frozen=True)
class _Run:
    directory: Path
    scale: Scale
    works: Sequence[Work]
    kinds: Sequence[type[Server]]
    contents: Contents
    results: Results

    def run_rounds(self, say: Callable[[str], None], keep: Callable[[Results], None]) -> None:
        """All rounds, or as many as there is time for."""
        began = time.monotonic()
        for number in range(self.scale.rounds):
            passed = time.monotonic() - began
            if number and passed + passed / number > self.scale.limit_seconds:
                self.results.leave_out(f"rounds from {number + 1} on: they would take too long")
                break
            say(f"round {number + 1} of {self.scale.rounds}")
            self._run_round(number)
            keep(self.results)

    def clear(self) -> None:
        """Delete what all rounds left."""
        for place in self.directory.glob("round-*"):
            shutil.rmtree(place, ignore_errors=True)

    def _run_round(self, number: int) -> None:
        """Every work by every contestant, once."""
        place = self.directory / f"round-{number}"
        with ExitStack() as at_end:
            at_end.callback(_delete_big_files, place)
            running: dict[str, Server] = {}
            at_end.callback(lambda: stop_all(running.values()))
            for kind in self.kinds:
                self._start(kind, place / kind.__name__, running)
            stage = Stage(number, self.scale, self.contents, place, running)
            for work in self.works:
                for contestant in _rotated(work.contestants, number):
                    self._try(stage, work, contestant)

    def _start(self, kind: type[Server], directory: Path, running: dict[str, Server]) -> None:
        """Start a server, and note why when that does not work."""
        if missing := kind.missing():
            self.results.leave_out(f"{kind.name}: {missing}")
            return
        directory.mkdir(parents=True)
        try:
            server = kind(directory)
            server.start()
        except Exception as error:
            self.results.leave_out(f"{kind.name} did not start: {_one_line(error)}")
            return
        running[kind.name] = server
        try:
            server.settle()
            server.keep(self.contents)
        except Exception as error:
            self.results.leave_out(f"{kind.name} took nothing to keep: {_one_line(error)}")

    def _try(self, stage: Stage, work: Work, contestant: str) -> None:
        """Measure, or note why that does not work."""
        try:
            self.results.samples.append(_measure(stage, work, contestant))
        except NotRunning:
            pass
        except NotOffered as reason:
            self.results.leave_out(f"{work.title}: {reason}")
        except Exception as error:
            self.results.leave_out(f"{work.title}, {contestant}, failed: {_one_line(error)}")


def _measure(stage: Stage, work: Work, contestant: str) -> Sample:
    server = stage.servers.get(contestant)
    if work.writes:
        os.sync()
    if server:
        server.begin()
    measured = work.measure(stage, contestant)
    return Sample(
        work=work.key,
        contestant=contestant,
        round=stage.round,
        units=measured.units,
        seconds=measured.seconds,
        cpu_seconds=server.cpu_seconds() if server else None,
        peak_bytes=server.peak_bytes() if server else None,
        grown_bytes=server.grown_bytes() if server else None,
        note=measured.note,
    )


def _delete_big_files(directory: Path) -> None:
    """Make room on the disk.

    Small files stay to the end of the run: for some minutes after many were deleted, ext4 creates
    new ones more slowly.
    """
    for parent, _, names in os.walk(directory):
        for path in (Path(parent, name) for name in names):
            with suppress(OSError):
                if path.lstat().st_size > MIB:
                    path.unlink()


def _rotated(names: tuple[str, ...], by: int) -> tuple[str, ...]:
    """Each round another one begins."""
    start = by % len(names)
    return names[start:] + names[:start]


def _one_line(error: Exception) -> str:
    """What went wrong, without the paths of this machine, which the documentation does not show."""
    text = re.sub(r"/[^\s'\"]*/", "", f"{type(error).__name__}: {error}").replace("\n", " ")
    return text if len(text) < 300 else f"{text[:100]} … {text[-200:]}"
