"""What happens before the first request is answered."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path

from httpbucket.config import Settings
from httpbucket.domain.errors import BucketError
from httpbucket.wiring import Services, Stores, warnings_of

logger = logging.getLogger(__name__)

#: A store that is up to date within this time starts with a complete index; a larger one, or one
#: without an index, starts as well, and the duties go on.
CATCH_UP_SECONDS = 1.0


#: Files by which container engines say that a process runs in a container.
_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))


def prepare(stores: Stores, services: Services) -> None:
    """Clear what dead processes left, and bring the index up to date as far as a second goes.

    Leaves nothing open that must not cross a fork.
    """
    try:
        services.clear_up.run()
    except BucketError as error:
        logger.warning("What earlier processes left is cleared by a later start: %s", error)
    deadline = time.monotonic() + CATCH_UP_SECONDS
    try:
        stores.index.prepare()
        stores.index.mark_incomplete()
        with stores.only_one("reindex") as mine:
            if mine and services.reindex.catch_up(may_go_on=lambda: time.monotonic() < deadline):
                # Only now is it known what nothing else names.
                deleted = services.delete.finish()
                if deleted:
                    logger.info("Finished deleting %d uploads.", deleted)
    except BucketError as error:
        logger.warning("The index is brought up to date later: %s", error)
    finally:
        stores.index.close()


def warn(settings: Settings) -> None:
    """Say what an operator may not expect."""
    if settings.archive_dir.is_relative_to("/tmp"):
        logger.warning("ARCHIVE_DIR %s may be emptied at any restart.", settings.archive_dir)
    if not settings.fsync:
        logger.warning("FSYNC is off: uploads that are acknowledged may be lost on power loss.")


def warn_of_store(settings: Settings) -> None:
    """Say what is unusual about a store that can be used."""
    for sentence in warnings_of(settings):
        logger.warning("%s", sentence)


def warn_of_root(user: int, *, marks: Iterable[Path] = _CONTAINER_MARKS) -> None:
    """Say that the server needs no root, unless it is a container's."""
    if user == 0 and not any(mark.exists() for mark in marks):
        logger.warning("The server runs as root and need not; start it as a user of its own.")
