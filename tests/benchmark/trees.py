"""A directory of which little is new: three lines of coreutils against sending its tarball."""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.benchmark import bare, requests, stream
from tests.benchmark.scale import Scale
from tests.benchmark.servers import SYNCED, NotOffered
from tests.benchmark.work import Measured, Stage, Work

TARBALL = "tar czf, then curl -F file=@results.tgz"
ONLY_WHAT_IS_NEW = "sha256sum, then only what is new"

_NEW = 50
_FILES_IN_A_DIRECTORY = 200

#: Each leaves what it sent in the file ``sent``.
_SCRIPTS = {
    TARBALL: """
        tar czf results.tgz results
        curl -fsS -F file=@results.tgz "$S/upload" > receipt
        mv results.tgz sent
    """,
    ONLY_WHAT_IS_NEW: """
        find results -type f -exec sha256sum {} + > sums
        curl -fsS --data-binary @sums "$S/tree?name=results" -o missing -D headers
        location=$(sed -n 's/^[Ll]ocation: *//p' headers | tr -d '\\r')
        tar cf - -T missing | tee sent | curl -fsS -T - "$S$location" > receipt
        cat sums >> sent
    """,
}


def works(scale: Scale) -> list[Work]:
    """One work, in two ways."""
    title = f"send {scale.members:,} files again, {_NEW} of them new"
    return [Work("tree-changed", title, "files", (TARBALL, ONLY_WHAT_IS_NEW), _send, True)]


def _send(stage: Stage, way: str) -> Measured:
    server = stage.bucket(SYNCED)
    if stream.exchange(server.port, requests.ask("POST", "/tree", Content_Length="0")).status in (
        404,
        405,
    ):
        raise NotOffered("http-bucket: POST /tree is not there yet")
    place, words = stage.place(f"tree-{len(way)}"), random.Random(f"{stage.round} {way}")
    for number in range(stage.scale.members):
        _write(place / "results", number, words)
    environ = {**os.environ, "S": f"http://127.0.0.1:{server.port}"}
    bare.shell(_SCRIPTS[TARBALL], place, environ)
    for number in words.sample(range(stage.scale.members), _NEW):
        _write(place / "results", number, words)
    seconds = bare.shell(_SCRIPTS[way], place, environ)
    sent = (place / "sent").stat().st_size
    return Measured(stage.scale.members, seconds, note=f"{sent / 1e6:.2f} MB sent")


def _write(root: Path, number: int, words: random.Random) -> None:
    path = root / f"{number // _FILES_IN_A_DIRECTORY:03}" / f"module_{number:05}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    count = words.randint(115, 340)
    path.write_text(" ".join(f"{words.randrange(2000):08x}" for _ in range(count)))
