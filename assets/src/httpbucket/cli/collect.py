"""``http-bucket collect`` frees contents that no upload names."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from httpbucket.cli.outcome import FINE
from httpbucket.cli.progress import progress
from httpbucket.cli.verb import Verbs, add_dry_run, add_json, finish_deletes, opened, print_json
from httpbucket.domain.digest import Digest
from httpbucket.domain.size import show_size


def add_to(verbs: Verbs) -> argparse.ArgumentParser:
    """The verb's parser."""
    parser = verbs.add_parser(
        "collect",
        help="free contents that no upload names",
        description="Free contents that no upload names, and that nothing else on the disk names.",
    )
    add_dry_run(parser)
    parser.add_argument(
        "--despite-lost-leases",
        action="store_true",
        help="also when the index is so new that nobody knows what producers were told to be here",
    )
    add_json(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Free, or tell what would be."""
    gone: list[dict[str, object]] = []

    def tell(blob: Digest, size: int) -> None:
        if options.json:
            gone.append({"blob": str(blob), "size": size})
        elif options.dry_run:
            print(f"{blob}  {show_size(size)}")

    with (
        opened() as store,
        progress("Looking at blobs", store.services.stats.expected().blobs) as advance,
    ):
        if not options.dry_run:
            finish_deletes(store)
        tally = store.services.collect.run(
            datetime.now(UTC),
            dry_run=options.dry_run,
            despite_lost_leases=options.despite_lost_leases,
            may_go_on=lambda: advance(store.services.collect.blobs_at_once) is None,
            on_freed=tell,
        )
    told = {"looked_at": tally.looked_at, "blobs": tally.blobs, "bytes_freed": tally.bytes_freed}
    if options.json:
        print_json({"dry_run": options.dry_run, **told, "freed": gone})
    else:
        verb = "Would free" if options.dry_run else "Freed"
        size = show_size(tally.bytes_freed)
        print(f"{verb} {tally.blobs:,} of {tally.looked_at:,} blobs, {size}.")
    return FINE
