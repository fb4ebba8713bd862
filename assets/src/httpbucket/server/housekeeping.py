"""What keeps a store in order now and then: expire, collect, scrub, uploads that were given up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from httpbucket.config import Settings
from httpbucket.domain.errors import BucketError
from httpbucket.web.seldom import SeldomLog
from httpbucket.wiring import Services, Stores

logger = logging.getLogger(__name__)

#: How often a process looks whether something is due, and nobody else is at it.
LOOK_SECONDS = 10.0

#: What failed is tried again after this time, if its interval is not shorter.
RETRY_SECONDS = 300

_DUTY = "housekeeping"


class Housekeeping:
    """A thread of each worker, of which one at a time works: the one that holds the lock.

    When something was done last is noted in the store, so that a restart does not begin anew.
    """

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        services: Services,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._services = services
        self._now = now
        self._stopping = threading.Event()
        self._seldom = SeldomLog(logger)

    def start(self) -> None:
        """Go on until the process ends."""
        threading.Thread(target=self._run, name=_DUTY, daemon=True).start()

    def stop(self) -> None:
        """Let the thread end soon."""
        self._stopping.set()

    def look(self) -> None:
        """Do what is due, unless another process is at it."""
        with self._stores.only_one(_DUTY) as mine:
            if mine:
                self._try("give-up", self._give_up)
                if self._is_index_complete():
                    self._work()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except BucketError as error:
                self._seldom.warning(f"Nothing can be put in order for now: {error}")
            except Exception:
                logger.exception("Nothing could be put in order; trying again.")
            self._stopping.wait(LOOK_SECONDS)

    def _work(self) -> None:
        settings = self._settings
        if self._knows_all_leases():
            self._do_each("expire", settings.expire_interval_seconds, self._expire)
            self._do_each("collect", settings.collect_interval_seconds, self._collect)
        if settings.scrub_interval_days:
            self._try("scrub", self._scrub)

    def _do_each(self, name: str, seconds: int, work: Callable[[], bool]) -> None:
        """Do ``work`` if it was not done for so long; 0 is never."""
        if not seconds or not self._is_due(name, seconds):
            return
        done = self._try(name, work)
        if done is not False:
            wait = seconds if done else min(seconds, RETRY_SECONDS)
            began = self._now().timestamp() - seconds + wait
            self._stores.notes.write(name, str(began))

    def _is_due(self, name: str, seconds: int) -> bool:
        try:
            since = self._now().timestamp() - float(self._stores.notes.read(name))
        except ValueError:
            return True
        # A clock that was set back would have everything wait for it.
        return not 0 <= since < seconds

    def _try(self, name: str, work: Callable[[], bool]) -> bool | None:
        """What ``work`` returns, whether it came to its end; None when it failed."""
        try:
            return work()
        except BucketError as error:
            logger.warning("What is due (%s) is tried again later: %s", name, error)
        except Exception:
            logger.exception("What is due (%s) failed; it is tried again later.", name)
        return None

    def _give_up(self) -> bool:
        if forgotten := self._services.resume.expire(self._now()):
            logger.info("Removed %d unfinished uploads past their time.", forgotten)
        self._stores.pending_trees.sweep(self._now())
        return True

    def _expire(self) -> bool:
        self._stores.index.forget_leases(before=self._now())
        done = self._services.expire.run(self._now(), may_go_on=self._may_go_on)
        if done.uploads:
            logger.info(
                "%d uploads expired; %d bytes are free again.", done.uploads, done.bytes_freed
            )
        return self._may_go_on()

    def _collect(self) -> bool:
        tally = self._services.collect.run(self._now(), may_go_on=self._may_go_on)
        if tally.blobs:
            logger.info(
                "Freed %d contents that no upload names, %d bytes.", tally.blobs, tally.bytes_freed
            )
        return self._may_go_on()

    def _scrub(self) -> bool:
        interval = timedelta(days=self._settings.scrub_interval_days)
        seen = self._services.scrub_by_duty.keep_up(self._now(), interval, self._may_go_on)
        for one in seen.rotten:
            uploads = ", ".join(map(str, one.uploads)) or "none"
            logger.error("Blob %s is rotten; it is in quarantine. Uploads: %s", one.blob, uploads)
        for blob in seen.misdescribed:
            logger.error("Blob %s is whole, but a record states another digest of it.", blob)
        for blob in seen.healed:
            logger.info("Blob %s is whole again.", blob)
        return True

    def _is_index_complete(self) -> bool:
        try:
            return self._stores.index.is_complete()
        except BucketError:
            # Other duties tell of it, and complete it.
            return False

    def _knows_all_leases(self) -> bool:
        """Of a new index not: what producers were told to be here is lost with the old one."""
        now = self._now()
        try:
            since = now - self._stores.index.leases_since(now)
        except BucketError:
            return False
        return since >= timedelta(seconds=self._settings.lease_seconds)

    def _may_go_on(self) -> bool:
        return not self._stopping.is_set()
