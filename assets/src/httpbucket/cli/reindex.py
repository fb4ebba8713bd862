"""``http-bucket reindex`` makes the index anew, and gives names their contents again."""

from __future__ import annotations

import argparse
from typing import Any

from httpbucket.cli.outcome import FAILED, FINE
from httpbucket.cli.progress import progress
from httpbucket.cli.verb import OpenStore, Verbs, add_json, opened, print_json, shown
from httpbucket.domain.errors import StorageUnavailable


def add_to(verbs: Verbs) -> argparse.ArgumentParser:
    """The verb's parser."""
    parser = verbs.add_parser(
        "reindex",
        help="make the index anew from the records, and names that lost their content right",
        description="Make the index anew from the records, and every name show what its record "
        "says, for a store that was copied without its hardlinks.",
    )
    parser.add_argument("--index-only", action="store_true", help="leave the names as they are")
    add_json(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Rebuild; `FAILED` when a name cannot be filled or a record cannot be read."""
    with opened() as store:
        expected = store.services.stats.expected().uploads
        taken_in = _rebuild(store, expected)
        told: dict[str, Any] = {"taken_in": taken_in}
        if not options.index_only:
            with progress("Looking at names", expected or taken_in) as advance:
                done = store.services.relink.run(on_upload=lambda upload: advance(1))
            told["relinked"] = done.to_json()
    is_sound = options.index_only or done.is_sound
    if options.json:
        print_json(told)
    else:
        _print(told)
    return FINE if is_sound else FAILED


def _rebuild(store: OpenStore, expected: int) -> int:
    taken_in = 0
    with store.stores.only_one("reindex") as mine:
        if not mine:
            raise StorageUnavailable("Another process is reading the records already; wait for it.")
        store.stores.index.forget_all()
        with progress("Reading records", expected) as advance:

            def count(upload: object) -> None:
                nonlocal taken_in
                taken_in += 1
                advance(1)

            store.services.reindex.catch_up(on_upload=count)
    return taken_in


def _print(told: dict[str, Any]) -> None:
    print(f"The index is made anew from {told['taken_in']:,} records.")
    if relinked := told.get("relinked"):
        for path in relinked["lost_paths"]:
            print(f"lost: {shown(path)}")
        for upload in relinked["unreadable"]:
            print(f"unreadable: the record of {upload}")
        print(
            f"Looked at {relinked['uploads']:,} uploads: {relinked['names']:,} names made right, "
            f"{relinked['blobs']:,} blobs made again, {relinked['lost']:,} names lost."
        )
