"""Replicate gives content further names, where the request's headers and the templates say."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from httpbucket.domain.replica import (
    Outcome,
    Series,
    minute_stamp,
    next_number,
    result_outcome,
)
from httpbucket.domain.template import Filled, PartlyFilled, ReplicaTemplate, named_headers
from httpbucket.domain.upload import Part, Record, Replica
from httpbucket.storage.base import HeldDirectories, Replicas

#: The header whose value also moves ``latest-pass`` or ``latest-fail``.
RESULT = "result"
#: Headers that begin so are kept in the record for whoever reads it.
META_PREFIX = "meta-"


@dataclass(frozen=True)
class ReplicaPlan:
    """Where one upload's content is to appear as well, and what its producer is told of that."""

    directories: tuple[str, ...] = ()
    outcome: Outcome | None = None
    log: list[str] = field(default_factory=list)


class Replicate:
    """Fills templates, numbers replicas and has them made."""

    def __init__(self, templates: Sequence[ReplicaTemplate], replicas: Replicas) -> None:
        self._templates = templates
        self._replicas = replicas

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that decide something, in lower case."""
        return tuple(dict.fromkeys((*named_headers(self._templates), RESULT)))

    def plan(self, values: Mapping[str, str]) -> ReplicaPlan:
        """Fill every template with ``values``, by header name in lower case."""
        log: list[str] = []
        filled = (self._fill(template, values, log) for template in self._templates)
        directories = tuple(dict.fromkeys(filter(None, filled)))
        outcome = result_outcome(values.get(RESULT, ""))
        if RESULT in values and outcome is None:
            log.append(f"Result: {values[RESULT][:40]!r} is neither a pass nor a failure.")
        return ReplicaPlan(directories, outcome, log)

    def publish(
        self, plan: ReplicaPlan, record: Record, publish: Callable[[Record], None]
    ) -> Record:
        """Publish ``record`` and make its replicas; returns the record, which names them.

        One upload has one number in a directory, whatever parts of it appear there. ``latest`` is
        the one that was published last, for the directory is held from numbering it until then.
        """
        if not plan.directories:
            publish(record)
            return record
        with self._replicas.hold(plan.directories) as held:
            replicas = (self._number(record, plan, held, one) for one in plan.directories)
            record = replace(record, replicas=tuple(itertools.chain.from_iterable(replicas)))
            held.announce(record)
            publish(record)
            held.make(record)
        return record

    def _fill(
        self, template: ReplicaTemplate, values: Mapping[str, str], log: list[str]
    ) -> str | None:
        match template.fill(values):
            case Filled() as filled:
                log += map(str, filled.changed)
                return f"replica/{filled.directory}"
            case PartlyFilled() as partly:
                log.append(str(partly))
        return None

    def _number(
        self, record: Record, plan: ReplicaPlan, held: HeldDirectories, directory: str
    ) -> Iterator[Replica]:
        parts = _parts(record)
        minute = minute_stamp(record.received)
        number = next_number(held.entries(directory), list(parts.values()), minute)
        for part, series in parts.items():
            links = (series.latest(), *([series.latest(plan.outcome)] if plan.outcome else []))
            yield Replica(f"{directory}/{series.numbered(minute, number)}", part, links)


def _parts(record: Record) -> dict[Part, Series]:
    """What of an upload appears as a replica: a tree alone, else the file and what is inside."""
    if record.tree:
        return {"tree": Series.of_tree(record.name)}
    parts: dict[Part, Series] = {"uploaded": Series.of_file(record.name)}
    if record.decompressed:
        parts["decompressed"] = Series.of_file(record.decompressed.name)
    return parts
