"""Requests and trees that wait for others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from httpbucket.domain.pending_tree import PendingTree

#: How long a request waits for another that works on the same. Its thread serves nobody meanwhile.
TURN_SECONDS = 10.0


class InTurn(Protocol):
    """Names that clients chose, each held by one request among all processes."""

    def __call__(
        self, name: str, check: Callable[[], None] = ..., *, seconds: float = ...
    ) -> AbstractContextManager[datetime | None]:
        """Hold the name, waiting ``seconds`` for others to let go of it.

        Yields since when a process held it that died while it did; else None.

        ``check`` is called now and then meanwhile, and ends the waiting by raising. Raises `Busy`.
        """
        ...


#: A CI farm's day. With 20,000 files each, these take 3 GB.
MOST_PENDING = 1000


class PendingTrees(Protocol):
    """Trees that wait for some of their files: known to every process, until they expire."""

    def save(self, pending: PendingTree) -> None:
        """Remember it, in place of what was remembered of that id, whole or not at all.

        A new one takes the place of that which was saved the longest ago and is not held, where
        `MOST_PENDING` wait already.
        """
        ...

    def hold(
        self, id: str, check: Callable[[], None] = ..., *, seconds: float = ...
    ) -> AbstractContextManager[PendingTree]:
        """What is remembered of the id; others who hold it wait, as for a turn (`InTurn`).

        It may be saved meanwhile. Raises `PendingTreeNotFound`, and `Busy`.
        """
        ...

    def sweep(self, now: datetime) -> int:
        """Forget those that expired before ``now``; how many those were."""
        ...
