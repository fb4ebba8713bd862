"""``http-bucket import`` takes over a store of the original program."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from httpbucket.cli.outcome import FAILED, FINE
from httpbucket.cli.progress import progress
from httpbucket.cli.verb import OpenStore, Verbs, add_dry_run, add_json, opened, print_json, shown
from httpbucket.domain.errors import IndexNotReady, StorageUnavailable
from httpbucket.domain.size import show_size
from httpbucket.wiring import open_original


def add_to(verbs: Verbs) -> argparse.ArgumentParser:
    """The verb's parser."""
    parser = verbs.add_parser(
        "import",
        help="take over a store of the original http-bucket",
        description="Copy what a store of the original http-bucket holds into the store in "
        "ARCHIVE_DIR, which is made where there is none. The old store is only read.",
    )
    parser.add_argument("root", type=Path, help="the original's ARCHIVE_DIR, which holds blob/")
    add_dry_run(parser)
    add_json(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Take over what is not here yet; `FAILED` when something was refused."""
    old = open_original(options.root)
    with opened(make=True) as store, store.stores.only_one("import") as mine:
        if not mine:
            raise StorageUnavailable("Another import into this store is under way; wait for it.")
        _know_everything(store)
        length = sum(1 for every in (old.names(), old.blobs()) for _ in every)
        with progress("Taking over", length) as advance:
            done = store.services.take_over.run(
                old, dry_run=options.dry_run, on_file=lambda file, is_new: advance(1)
            )
        if not options.dry_run:
            _complete(store)
    told = {"dry_run": options.dry_run, **done.to_json()}
    if options.json:
        print_json(told)
    else:
        print(*_lines(told), sep="\n")
    return FAILED if done.refused else FINE


def _know_everything(store: OpenStore) -> None:
    """Bring the index up to date, and finish what an import left that was killed.

    Uploads get the time that they had in the old store, so from here on records of any day may be
    missing in the index, until the last step says otherwise.
    """
    store.services.clear_up.run()
    _forget_agreed_day(store)
    _complete(store)
    _forget_agreed_day(store)


def _forget_agreed_day(store: OpenStore) -> None:
    if store.stores.index.is_complete():
        store.stores.index.mark_complete(agreed_day="")


def _complete(store: OpenStore) -> None:
    with store.stores.only_one("reindex") as mine:
        if not (mine and store.services.reindex.catch_up()):
            raise IndexNotReady("The index is being rebuilt by a server; try again after that.")


def _lines(told: dict[str, Any]) -> Iterator[str]:
    for path, sentence in told["refused"].items():
        yield f"refused: {shown(path)}: {sentence}"
    yield from (f"left out: {shown(path)}" for path in told["strangers"])
    verb = "Would take over" if told["dry_run"] else "Took over"
    yield (
        f"{verb} {told['uploads']:,} files, {show_size(told['size'])}; "
        f"{told['known']:,} are here already."
    )
