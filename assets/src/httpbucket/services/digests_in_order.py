"""Very many digests, looked up some thousand at a time, those with near values together.

What is looked up lies in the order of digests, in an index as on a disk: so each part of that is
gone through once, and there is never an object for every digest.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import chain
from typing import NamedTuple

from httpbucket.domain.checksum_runs import ChecksumRun

#: The most digests of a portion.
PORTION = 4096


class Portion(NamedTuple):
    """Some of the digests that may mean the same algorithms, and which of all digests they are."""

    algorithms: tuple[str, ...]
    places: Sequence[int]
    values: list[bytes]


def in_order(runs: Iterable[ChecksumRun]) -> Iterator[Portion]:
    """Every digest of ``runs``, in `Portion`s."""
    alike: dict[tuple[str, ...], _Alike] = {}
    total = 0
    for run in runs:
        alike.setdefault(run.algorithms, _Alike(run.algorithms, run.size)).add(run, total)
        total += run.total
    return chain.from_iterable(one.portions(total) for one in alike.values())


class _Alike:
    """All digests that may mean the same algorithms."""

    def __init__(self, algorithms: tuple[str, ...], size: int) -> None:
        self._algorithms = algorithms
        self._size = size
        self._digests = BytesIO()
        self._places = array("I")

    def add(self, run: ChecksumRun, place: int) -> None:
        self._digests.write(run.digests)
        self._places.extend(range(place, place + run.total))

    def portions(self, total: int) -> Iterator[Portion]:
        """All of them, of the ``total`` digests that there are."""
        # The buffer itself, not a copy.
        digests, size, places = self._digests.getvalue(), self._size, self._places
        order = _by_first_byte(digests[::size]) if len(places) > PORTION else range(len(places))
        for start in range(0, len(order), PORTION):
            picked = order[start : start + PORTION]
            yield Portion(
                self._algorithms,
                picked if total == len(places) else [places[one] for one in picked],
                [digests[one * size : one * size + size] for one in picked],
            )


def _by_first_byte(firsts: bytes) -> array[int]:
    """The indices of these bytes, from the lowest byte on."""
    shelves = [array("I") for _ in range(256)]
    for index, first in enumerate(firsts):
        shelves[first].append(index)
    order = array("I")
    for shelf in shelves:
        order += shelf
    return order
