"""ClearUp removes what dead processes left, and finishes what they owed."""

from __future__ import annotations

import logging
from collections.abc import Callable

from httpbucket.storage.base import BlobStore, PartialUploads, Replicas, Staging

logger = logging.getLogger(__name__)


class ClearUp:
    """The first step of every start, of servers, of workers and of commands that change much.

    It looks at nothing that belongs to a living process, and may be cut short and repeated; workers
    do so before they go on with deletes. What needs a complete index comes after it: reading the
    records that the index may lack, and then `Delete.finish`.
    """

    def __init__(
        self,
        *,
        staging: Staging,
        partials: PartialUploads,
        replicas: Replicas,
        blobs: BlobStore,
    ) -> None:
        self._staging = staging
        self._partials = partials
        self._replicas = replicas
        self._blobs = blobs

    def run(self, *, idle_too: bool = True, on_death: Callable[[], None] = lambda: None) -> None:
        """Clear up; tell ``on_death`` that a process died, if one did.

        It may have published what no index was told of. This is told at once: where a later step
        fails, no second call would find out. Without ``idle_too`` processes do not count that ended
        with nothing under way, as a command does that came to its end. Raises what the ports raise.
        """
        swept = self._staging.sweep(idle_too=idle_too)
        if swept:
            on_death()
            logger.info("Removed %d unfinished uploads of earlier processes.", swept)
        if idle_too:
            # Another name of a blob that an upload names, and would keep it from being freed.
            self._partials.sweep()
        if finished := self._replicas.finish():
            logger.info("Finished the replicas of %d uploads of earlier processes.", finished)
        if recovered := self._blobs.recover():
            logger.info("Put %d files back that an earlier process was about to free.", recovered)
