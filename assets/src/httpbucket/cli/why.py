"""``http-bucket why`` tells what holds a content."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from httpbucket.cli.outcome import FINE
from httpbucket.cli.verb import Verbs, add_json, opened, print_json, shown
from httpbucket.domain.digest import read_question
from httpbucket.domain.size import show_size


def add_to(verbs: Verbs) -> argparse.ArgumentParser:
    """The verb's parser."""
    parser = verbs.add_parser(
        "why",
        help="tell what holds a content, who put it there, and when each lets go",
        description="Tell every name that holds a content, who put it there, and when it lets go.",
    )
    parser.add_argument("digest", help="algorithm:hex, or hex alone as in HEAD /checksum/<digest>")
    add_json(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Ask; raises `BlobNotFound` for what is not kept."""
    with opened() as store:
        question = read_question(options.digest, preferred=store.settings.checksum_type)
        told = [
            one.to_json()
            | {"uploads": [holder.to_json() for holder in store.services.why.holders(one.blob)]}
            for one in store.services.why.find(question)
        ]
    if options.json:
        print_json({"contents": told})
    else:
        print(*(line for one in told for line in _lines(one)), sep="\n")
    return FINE


def _lines(told: dict[str, Any]) -> Iterator[str]:
    kind = f", {told['media_type']}" if told["media_type"] else ""
    size = show_size(told["size"]) if told["size"] is not None else "of unknown size"
    yield f"{told['blob']}  {size}{kind}"
    yield f"  {_state(told)}"
    if told["uploads_on_their_way"]:
        yield f"  held by {told['uploads_on_their_way']} uploads on their way in"
    if told["lease_until"]:
        yield f"  a producer was told that it is here, until {told['lease_until']}"
    for upload in told["uploads"]:
        yield f"  upload {upload['upload']}  {shown(upload['name'])}, {_end(upload)}"
        yield from (f"    {name}: {shown(text)}" for name, text in upload["headers"].items())
        yield from (f"    {shown(path)}" for path in upload["paths"])
    if not told["uploads"]:
        yield "  no upload names it: collect frees it once nothing else holds it"


def _state(told: dict[str, Any]) -> str:
    if not told["kept"]:
        return "not kept: its bytes were rotten" if told["quarantined"] else "not kept any more"
    rotten = "; rotten bytes of it are in quarantine" if told["quarantined"] else ""
    return f"{told['files']} files with {told['names']} further names on the disk{rotten}"


def _end(upload: dict[str, Any]) -> str:
    if upload["keep"]:
        return "kept for ever by its mark"
    return f"expires {upload['expires']}" if upload["expires"] else "does not expire"
