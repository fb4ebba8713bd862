"""What is done in the background, by one process of all that share a store."""

from __future__ import annotations

import logging
import threading

from httpbucket.domain.errors import BucketError
from httpbucket.domain.upload import UploadId
from httpbucket.web.seldom import SeldomLog
from httpbucket.wiring import Services, Stores

logger = logging.getLogger(__name__)

#: How often a process that has nothing to do looks whether the index became incomplete.
LOOK_SECONDS = 10
RETRY_SECONDS = 2


class Duties:
    """A thread of a worker that clears up behind processes that were killed, completes the index,
    and with it the deletes that were cut short.

    Only one process reads the records at a time. A process whose own upload the index did not take
    in reads them itself, however complete the index says it is: another one may have passed that
    record before it was written.
    """

    def __init__(self, stores: Stores, services: Services) -> None:
        self._stores = stores
        self._services = services
        self._owes_reading = False
        self._left: frozenset[UploadId] = frozenset()
        self._stopping = False
        self._seldom = SeldomLog(logger)

    def start(self) -> None:
        """Go on until the process ends."""
        threading.Thread(target=self._run, name="duties", daemon=True).start()

    def stop(self) -> None:
        """Let the thread end soon."""
        self._stopping = True
        self._services.index_gap.set()

    def clear_up(self, *, idle_too: bool = True) -> None:
        """Remove what a process left that was killed, and finish what it owed to replicas.

        gunicorn starts another worker in the place of one, whose duties begin with this; commands
        have no such successor. Either may have died between publishing a record and telling the
        index; but for those that were idle, who are told from others only without ``idle_too``.
        """
        self._services.clear_up.run(idle_too=idle_too, on_death=self._owe_reading)

    def _owe_reading(self) -> None:
        self._owes_reading = True

    def complete_index(self) -> bool:
        """Do what there is to do for the index; whether nothing is left to do."""
        index = self._stores.index
        if self._services.index_gap.is_set():
            self._services.index_gap.clear()
            self._owes_reading = True
        if self._owes_reading:
            index.mark_incomplete()
        elif index.is_complete():
            return True
        with self._stores.only_one("reindex") as mine:
            done = mine and self._services.reindex.catch_up(may_go_on=lambda: not self._stopping)
        self._owes_reading = self._owes_reading and not done
        return done

    def finish_deletes(self) -> None:
        """Go on with deletes that were cut short, in this server or in a command that was killed.

        Let go of are removed uploads that were left a round ago already: nobody else will.
        """
        with self._stores.only_one("deletes") as mine:
            if mine:
                # Commands that came to their end are no reason to read records.
                self.clear_up(idle_too=False)
                if self._owes_reading:
                    self._services.index_gap.set()
                    return
                deleted = self._services.delete.finish(self._left)
                if deleted:
                    logger.info("Finished deleting %d uploads.", deleted)
                self._left = self._services.delete.removed()

    def _run(self) -> None:
        try:
            self.clear_up()
        except BucketError as error:
            logger.warning("What a killed worker left is cleared up at the next start: %s", error)
        except Exception:
            logger.exception("What a killed worker left could not be cleared up.")
        while not self._stopping:
            seconds = LOOK_SECONDS if self._try_to_complete_index() else RETRY_SECONDS
            self._services.index_gap.wait(seconds)

    def _try_to_complete_index(self) -> bool:
        try:
            is_complete = self.complete_index()
            if is_complete:
                self.finish_deletes()
            return is_complete
        except BucketError as error:
            self._seldom.warning(f"What was cut short is tried again: {error}")
            return False
        except Exception:
            # Whatever it was: without this thread nobody would complete the index any more.
            logger.exception("What was cut short could not be finished; trying again.")
            return False
