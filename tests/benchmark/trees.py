"""A tree of which little is new: three lines of coreutils against sending its tarball."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
from collections import defaultdict
from functools import partial
from pathlib import Path

from tests.benchmark.unpack import Timings
from tests.live.server import LiveServer

FILES = 20_000
NEW = 50
FILES_IN_A_DIRECTORY = 200

TARBALL = "tar czf, then curl -F file=@results.tgz"
ONLY_WHAT_IS_NEW = "sha256sum, then only what is new (/tree)"

_SCRIPTS = {
    TARBALL: """
        tar czf results.tgz results
        curl -fsS -F file=@results.tgz "$S/upload" > receipt
        cat results.tgz > sent
    """,
    ONLY_WHAT_IS_NEW: """
        find results -type f -exec sha256sum {} + > sums
        curl -fsS --data-binary @sums "$S/tree?name=results" -o missing -D headers
        location=$(sed -n 's/^[Ll]ocation: *//p' headers | tr -d '\\r')
        tar cf - -T missing | tee sent | curl -fsS -T - "$S$location" > receipt
        cat sums >> sent
    """,
}


def benchmark(directory: Path, *, rounds: int) -> str:
    """Change `NEW` files of a tree that is kept, and send it; each way, ``rounds`` times."""
    directory.mkdir()
    timings, sent = Timings(), defaultdict[str, list[int]](list)
    words = random.Random(3)
    for number in range(FILES):
        _write(directory / "results", number, words)
    with LiveServer(directory, MAX_CONTENT_LENGTH="1gb") as server:
        _run(server, directory, TARBALL)
        for _ in range(rounds):
            for contestant in _SCRIPTS:
                for number in words.sample(range(FILES), NEW):
                    _write(directory / "results", number, words)
                timings.measure(contestant, partial(_run, server, directory, contestant))
                sent[contestant].append((directory / "sent").stat().st_size)
    lines = [f"A tree of {FILES:,} files, of which {NEW} are new; {rounds} rounds, FSYNC=on"]
    for way, sizes in sent.items():
        size, seconds = statistics.median(sizes) / 1e6, timings.median(way)
        lines.append(f"{way:58} {seconds:6.2f} s {size:8.2f} MB sent")
    few, all_ = (statistics.median(sent[way]) for way in (ONLY_WHAT_IS_NEW, TARBALL))
    ratio = timings.median(ONLY_WHAT_IS_NEW) / timings.median(TARBALL)
    lines += ["", f"only what is new / tarball: bytes {few / all_:.3f}, time {ratio:.2f}"]
    return "\n".join(lines)


def _write(root: Path, number: int, words: random.Random) -> None:
    path = root / f"{number // FILES_IN_A_DIRECTORY:03}" / f"module_{number:05}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    count = words.randint(115, 340)
    path.write_text(" ".join(f"{words.randrange(2000):08x}" for _ in range(count)))


def _run(server: LiveServer, directory: Path, way: str) -> None:
    environ = {**os.environ, "S": server.url}
    subprocess.run(["sh", "-euc", _SCRIPTS[way]], cwd=directory, env=environ, check=True)
