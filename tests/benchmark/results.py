"""What was measured: samples, and medians and ratios of them."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Sample:
    """What one contestant did in one round."""

    work: str
    contestant: str
    round: int
    #: Requests, files, digests or bytes; the work says which.
    units: float
    seconds: float
    #: Of all processes of the server. None where there is no server.
    cpu_seconds: float | None = None
    #: The resident memory of its largest process.
    peak_bytes: int | None = None
    #: How far one of its processes grew beyond its size before the first work.
    grown_bytes: int | None = None
    #: What else is to be said.
    note: str = ""


@dataclass
class Results:
    """Everything of one run; `save` and `load` keep it as JSON."""

    scale: str
    machine: dict[str, str]
    samples: list[Sample] = field(default_factory=list)
    #: What could not be measured, and why, in the order in which it was found.
    left_out: list[str] = field(default_factory=list)

    def leave_out(self, what: str) -> None:
        """Note what is missing, once."""
        if what not in self.left_out:
            self.left_out.append(what)

    def rounds(self) -> int:
        """How many rounds there were."""
        return max((sample.round for sample in self.samples), default=-1) + 1

    def contestants(self, work: str) -> list[str]:
        """Who did this work, in the order of the samples."""
        return list(dict.fromkeys(sample.contestant for sample in self._of(work)))

    def rates(self, work: str, contestant: str) -> list[float]:
        """Units a second, of each round."""
        return [sample.units / sample.seconds for sample in self._of(work, contestant)]

    def rate(self, work: str, contestant: str) -> float | None:
        """The median of `rates`; None where nothing was measured."""
        return _median(self.rates(work, contestant))

    def ratio(self, ours: tuple[str, str], theirs: tuple[str, str]) -> float | None:
        """The median rate of one (work, contestant) in that of another."""
        rates = self.rate(*ours), self.rate(*theirs)
        return rates[0] / rates[1] if rates[0] is not None and rates[1] else None

    def cpu_seconds_per_unit(self, work: str, contestant: str) -> float | None:
        """The median of what a unit costs the server."""
        return _median(
            sample.cpu_seconds / sample.units
            for sample in self._of(work, contestant)
            if sample.cpu_seconds is not None
        )

    def note(self, work: str, contestant: str) -> str:
        """What the last round noted."""
        return self._of(work, contestant)[-1].note

    def peak_bytes(self, work: str, contestant: str) -> int | None:
        """The most of all rounds."""
        return _most(sample.peak_bytes for sample in self._of(work, contestant))

    def grown_bytes(
        self, contestants: Collection[str], *, until: Collection[str]
    ) -> tuple[int | None, int | None]:
        """The most by which a process of these servers grew, before and from these works on."""
        before: list[int | None] = []
        since: list[int | None] = []
        begun: set[tuple[str, int]] = set()
        for sample in self.samples:
            if sample.contestant in contestants:
                # Servers are started anew for each round.
                server = (sample.contestant, sample.round)
                if sample.work in until:
                    begun.add(server)
                (since if server in begun else before).append(sample.grown_bytes)
        return _most(before), _most(since)

    def save(self, path: Path) -> None:
        """Write all of it; `load` reads it again."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        fields = json.loads(path.read_text())
        return cls(**fields | {"samples": [Sample(**sample) for sample in fields["samples"]]})

    def _of(self, work: str, contestant: str | None = None) -> list[Sample]:
        return [
            sample
            for sample in self.samples
            if sample.work == work and contestant in (None, sample.contestant)
        ]


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return statistics.median(found) if found else None


def _most(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
