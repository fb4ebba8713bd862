"""A piece of work that several contestants do: `Work`, and the `Stage` that it happens on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.benchmark.contents import Contents
from tests.benchmark.scale import Scale
from tests.benchmark.servers import Bucket, NotRunning, Server


@dataclass(frozen=True)
class Stage:
    """One round: fresh servers, and an empty directory on the disk that counts."""

    round: int
    scale: Scale
    contents: Contents
    directory: Path
    servers: Mapping[str, Server]

    def server(self, name: str) -> Server:
        """A server by its name; raises NotRunning when it does not run."""
        if name not in self.servers:
            raise NotRunning(name)
        return self.servers[name]

    def bucket(self, name: str) -> Bucket:
        """One of ours."""
        server = self.server(name)
        assert isinstance(server, Bucket)
        return server

    def place(self, name: str) -> Path:
        """A new empty directory."""
        path = self.directory / "bare" / name
        path.mkdir(parents=True)
        return path

    def number(self, seed: int) -> int:
        """A number that no other work of another round has."""
        return 1000 * (self.round + 1) + seed


@dataclass(frozen=True)
class Measured:
    """How much was done in how long, and what else is to be said of it."""

    units: float
    seconds: float
    note: str = ""


Measure = Callable[[Stage, str], Measured]


@dataclass(frozen=True)
class Work:
    """What is measured, in which units, of whom."""

    key: str
    title: str
    unit: str
    contestants: tuple[str, ...]
    measure: Measure
    #: Whether what others wrote before has to be on the disk first.
    writes: bool = False
