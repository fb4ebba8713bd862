"""``http-bucket expire`` removes the uploads whose time is over."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from httpbucket.cli.outcome import FINE
from httpbucket.cli.verb import (
    OpenStore,
    Verbs,
    add_dry_run,
    add_json,
    finish_deletes,
    opened,
    print_json,
    shown,
)
from httpbucket.domain.size import show_size


def add_to(verbs: Verbs) -> argparse.ArgumentParser:
    """The verb's parser."""
    parser = verbs.add_parser(
        "expire",
        help="remove the uploads whose time is over",
        description="Remove uploads that expired, or that newer ones of their template displaced.",
    )
    add_dry_run(parser)
    add_json(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Remove what is due, or tell it."""
    with opened() as store:
        if options.dry_run:
            return _plan(store, as_json=options.json)
        finish_deletes(store)
        tally = store.services.expire.run(datetime.now(UTC))
    if options.json:
        print_json({"uploads": tally.uploads, "bytes_freed": tally.bytes_freed})
    else:
        print(f"Removed {tally.uploads:,} uploads; {show_size(tally.bytes_freed)} are free again.")
    return FINE


def _plan(store: OpenStore, *, as_json: bool) -> int:
    uploads, unique_bytes = [], 0
    for one in store.services.expire.plan(datetime.now(UTC)):
        unique_bytes += one.unique_bytes
        if as_json:
            uploads.append(one.to_json())
        else:
            print(f"{one.upload}  {one.reason}  {show_size(one.unique_bytes)}  {shown(one.name)}")
    if as_json:
        print_json({"dry_run": True, "uploads": uploads, "unique_bytes": unique_bytes})
    else:
        print(f"In all {show_size(unique_bytes)} would be free again.")
    return FINE
