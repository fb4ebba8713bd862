"""``http-bucket stats`` tells how much is kept."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from httpbucket.cli.outcome import FINE
from httpbucket.cli.verb import Verbs, add_json, opened, print_json
from httpbucket.domain.size import show_size


def add_to(verbs: Verbs) -> argparse.ArgumentParser:
    """The verb's parser."""
    parser = verbs.add_parser(
        "stats",
        help="tell how much is kept, and how much room there is",
        description="Tell what GET /stats tells: how much is kept, and how much room there is.",
    )
    add_json(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Ask the index and the file system."""
    with opened() as store:
        told = store.services.stats.holdings().to_json()
    if options.json:
        print_json(told)
    else:
        rows = list(_rows(told))
        width = max(len(name) for name, _ in rows)
        print(*(f"{name:{width}}  {value}" for name, value in rows), sep="\n")
    return FINE


def _rows(told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "uploads", f"{told['uploads']:,}"
    yield "they show", show_size(told["upload_size"])
    yield "different contents", f"{told['blobs']:,}"
    yield "they take", show_size(told["blob_size"])
    yield "saved", show_size(told["saved_size"])
    if space := told["space"]:
        yield "free", f"{show_size(space['free'])} of {show_size(space['total'])}"
        if space["total_names"]:
            yield "free inodes", f"{space['free_names']:,} of {space['total_names']:,}"
    if not told["complete"]:
        yield "index", "being rebuilt: there is more than was counted"
