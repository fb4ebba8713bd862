"""``http-bucket scrub`` reads every content again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from httpbucket.cli.outcome import FAILED, FINE
from httpbucket.cli.progress import progress
from httpbucket.cli.verb import Verbs, add_json, opened, print_json, shown
from httpbucket.domain.size import parse_size, show_size


def add_to(verbs: Verbs) -> argparse.ArgumentParser:
    """The verb's parser."""
    parser = verbs.add_parser(
        "scrub",
        help="read every content again, and take out what is rotten",
        description="Read every content again and take out what is rotten. Goes on where the last "
        "call was stopped.",
    )
    parser.add_argument(
        "--rate", type=_rate, metavar="SIZE", help="bytes a second, instead of the setting's"
    )
    parser.add_argument(
        "--restart", action="store_true", help="begin anew, wherever the last call was stopped"
    )
    add_json(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Scrub to the end; `FAILED` when anything is rotten, lost or misdescribed."""
    changes = {"scrub_bytes_per_second": options.rate} if options.rate else {}
    with opened(**changes) as store:
        scrub = store.services.scrub_by_hand
        begun = None if options.restart else scrub.progress()
        if begun and begun.last:
            print(
                f"Going on at {begun.share:.0%} of {begun.began:%Y-%m-%d %H:%M}.", file=sys.stderr
            )
        place = begun or scrub.begin(datetime.now(UTC))
        length = int(store.services.stats.expected().blob_size * (1 - place.share))
        with progress("Reading", length) as advance:
            seen = scrub.go_on(
                place, may_go_on=lambda blob: True, on_blob=lambda blob, size: advance(size)
            )
        scrub.end()
    told = seen.to_json()
    if options.json:
        print_json(told)
    else:
        print(*_lines(told), sep="\n")
    return FINE if seen.is_sound else FAILED


def _lines(told: dict[str, Any]) -> Iterator[str]:
    for kind in ("rotten", "lost"):
        for one in told[kind]:
            uploads = ", ".join(one["uploads"]) or "no upload"
            yield f"{kind}: {one['blob']}, named by {uploads}"
    for kind in ("misdescribed", "healed", "strangers"):
        yield from (f"{kind}: {shown(one)}" for one in told[kind])
    if told["described"]:
        yield f"{told['described']:,} blobs are found by digests now that they had not."
    rotten = len(told["rotten"])
    yield f"Read {told['blobs']:,} blobs, {show_size(told['size'])}: {rotten:,} rotten."


def _rate(text: str) -> int:
    try:
        rate = parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not rate:
        raise argparse.ArgumentTypeError("0 would never end; write a size above it")
    return rate
