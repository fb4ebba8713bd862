"""Where content also appears."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from httpbucket.domain.upload import Record, Replica, UploadId


class HeldDirectories(Protocol):
    """Replica directories that nobody else changes meanwhile."""

    def entries(self, directory: str) -> Collection[str]:
        """The names in one of the held directories; none where it does not exist yet."""
        ...

    def announce(self, record: Record) -> None:
        """Remember lastingly that the record's replicas are to be made, before it is published.

        If the process dies in between, whoever holds a directory next, or the next start, makes
        them if the record was published, and forgets it otherwise.
        """
        ...

    def make(self, record: Record) -> None:
        """Make the replicas of the published record, each whole or not at all, lastingly.

        Then each ``latest`` link is moved, in one step. When this raises, what is missing of them
        is made by whoever holds the directory next.
        """
        ...

    def shown(self, link: str) -> str | None:
        """What the ``latest`` link at this path shows; None where there is no such link."""
        ...

    def removing(
        self, upload: UploadId, replicas: Collection[Replica], latest: Mapping[str, str | None]
    ) -> AbstractContextManager[None]:
        """Remove replicas once the caller has made sure that no record names them any more.

        The caller does so in the context, in one step, by removing or amending the upload's record.
        Then the replicas go, each in one step, and each link of ``latest`` (by path) shows another
        name beside it, or goes where that is None. If the process dies after the caller's step,
        whoever holds a directory next, or the next start, goes on with it. If the caller raises,
        nothing is removed.
        """
        ...


class Replicas(Protocol):
    """Further names for what uploads hold, in directories that templates choose."""

    def hold(self, directories: Collection[str]) -> AbstractContextManager[HeldDirectories]:
        """Keep others from changing these directories (``replica/user/bob``); waits for them.

        What a dead process left unmade there is made first.
        """
        ...

    def finish(self) -> int:
        """Make what dead processes left unmade anywhere; how many uploads that were."""
        ...
