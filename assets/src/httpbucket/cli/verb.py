"""What the operator's verbs share: the store as the environment names it, and their output."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from httpbucket.config import Settings
from httpbucket.domain.errors import UnusableStore
from httpbucket.wiring import Services, Stores, build, open_local

#: What argparse calls the collection of verbs.
Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


@dataclass(frozen=True)
class OpenStore:
    """The store, with everything that can be done to it."""

    settings: Settings
    stores: Stores
    services: Services


@contextmanager
def opened(*, make: bool = False, **changes: Any) -> Iterator[OpenStore]:
    """The store in ``ARCHIVE_DIR``, which a server may serve meanwhile.

    Only with ``make`` it is made where there is none. ``changes`` are settings of this call.
    """
    # The verb's own lines tell what is done; the log is for what goes wrong.
    logging.getLogger().setLevel(logging.WARNING)
    settings = replace(Settings.from_environ(os.environ), **changes)
    if not make and not (settings.archive_dir / "bucket-layout").is_file():
        raise UnusableStore(
            f"ARCHIVE_DIR {settings.archive_dir} holds no store; "
            "set ARCHIVE_DIR as the server has it."
        )
    _check_owner(settings.archive_dir)
    stores = open_local(settings)
    try:
        yield OpenStore(settings, stores, build(settings, stores))
    finally:
        stores.index.close()


def finish_deletes(store: OpenStore) -> None:
    """Go on where a call was killed while it deleted, as the start of a server does."""
    index = store.stores.index
    store.services.clear_up.run(idle_too=False, on_death=index.mark_incomplete)
    if not index.is_complete():
        # Whoever was killed may have published what the index was not told of.
        with store.stores.only_one("reindex") as mine:
            if mine:
                store.services.reindex.catch_up()
    if index.is_complete() and (finished := store.services.delete.finish()):
        print(f"Finished deleting {finished:,} uploads.", file=sys.stderr)


def _check_owner(root: Path) -> None:
    """What root would leave in ``private/``, a lock for one, the server could not open."""
    try:
        owner = (root / "private").stat().st_uid
    except OSError:
        # There is no store yet, or opening it says what is wrong.
        return
    if owner != os.geteuid():
        raise UnusableStore(
            f"ARCHIVE_DIR {root} belongs to user {owner}; call this as that user, who runs the "
            "server (runuser -u)."
        )


def add_json(parser: argparse.ArgumentParser) -> None:
    """The flag that every verb has which prints something."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """The flag of verbs that remove something."""
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would go, and leave everything"
    )


def print_json(value: Mapping[str, Any]) -> None:
    """One document. Whatever was never UTF-8 becomes its JSON escape."""
    print(json.dumps(value, indent=1))


def shown(text: str) -> str:
    """``text`` without what could move a terminal's cursor or change its colours."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )
