"""How far a verb is: a bar on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

#: So often a plain line is written.
LINE_SECONDS = 10.0

#: The bar is drawn anew at most for each of so many parts of the whole.
_STEPS = 500


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """Yields what is told of each step. Writes to the error stream, which no program reads.

    ``length`` is what the steps come to in the end, as far as that is known.
    """
    if not sys.stderr.isatty():
        yield _Lines(label, length).advance
        return
    with click.progressbar(
        length=max(length, 1),
        label=label,
        file=sys.stderr,
        update_min_steps=max(length // _STEPS, 1),
    ) as bar:
        yield bar.update
        # What was removed meanwhile, or was there already, is no step.
        bar.update(max(0, bar.length - bar.pos) if bar.length else 0)


class _Lines:
    """A line after each `LINE_SECONDS`; none for what is done sooner."""

    def __init__(self, label: str, length: int) -> None:
        self._label = label
        self._length = length
        self._done = 0
        self._next = time.monotonic() + LINE_SECONDS

    def advance(self, steps: int) -> None:
        """So much more is done."""
        self._done += steps
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_SECONDS
            share = f" {min(100 * self._done // self._length, 100)} %" if self._length else ""
            print(f"{self._label}:{share or f' {self._done:,}'}", file=sys.stderr, flush=True)
