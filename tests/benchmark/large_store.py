"""``python -m tests.benchmark.large_store``: whether a large store is as quick as an empty one.

A store of many blobs and uploads is made through the same services and ports as by a server; then a
server on it and one on a new store get the same requests in turn. Both share the machine with the
client. Start it again with ``--keep`` and the same ``--directory`` to measure without making anew.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import random
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from tests.benchmark.store_maker import StoreMaker, content_of, day_of
from tests.live.server import LiveServer

#: So many requests of a kind are sent to one server before the other one's turn.
_HEADS, _UPLOADS, _PAGES = 1000, 150, 30

_JSON = {"Accept": "application/json"}
_HTML = {"Accept": "text/html"}


@dataclass(frozen=True)
class _Size:
    """What the store is made of, or has."""

    blobs: int
    uploads: int
    days: int
    members: int


#: As good as empty, but with enough to fill a page.
_SMALL = _Size(blobs=30, uploads=30, days=1, members=30)


class _Timings:
    """Seconds for one request, by what was asked and of which store."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, work: str, store: str, seconds: float) -> None:
        self._seconds[work, store].append(seconds)

    def table(self) -> str:
        """A line for each work: the medians of both stores, and how they compare."""
        lines = [f"{'':44} {'empty':>10} {'large':>10} {'ratio':>6}"]
        for work in dict.fromkeys(work for work, _ in self._seconds):
            empty, large = (statistics.median(self._seconds[work, one]) for one in _STORES)
            shown = f"{empty * 1e3:7.2f} ms {large * 1e3:7.2f} ms"
            lines.append(f"{work:44} {shown} {large / empty:6.2f}")
        return "\n".join(lines)


_STORES = ("empty", "large")


def main() -> None:
    """Make the large store, measure, and print what was found."""
    options = _options()
    size = _Size(options.blobs, options.uploads, options.days, options.members)
    with tempfile.TemporaryDirectory() as temporary:
        place = options.directory or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        try:
            print(_made(place / "large", size), flush=True)
            print(_made(place / "empty", _SMALL), flush=True)
            print(_compared(place, size, rounds=options.rounds), flush=True)
            if options.repair:
                print(StoreMaker(place / "large" / "archive").repair_costs(), flush=True)
        finally:
            if not options.keep:
                for store in _STORES:
                    shutil.rmtree(place / store, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blobs", type=int, default=100_000)
    parser.add_argument("--uploads", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=100, help="over which the uploads came")
    parser.add_argument("--members", type=int, default=1000, help="of each archive file")
    parser.add_argument("--rounds", type=int, default=5, help="medians are shown")
    parser.add_argument("--directory", type=Path, help="where to work; on the disk that counts")
    parser.add_argument("--keep", action="store_true", help="leave the stores for another run")
    parser.add_argument("--repair", action="store_true", help="also time scrub and reindex")
    return parser.parse_args()


def _made(directory: Path, size: _Size) -> str:
    """Make the store in ``directory`` unless it is there; what that cost."""
    if directory.exists():
        return f"{directory.name}: there already"
    directory.mkdir()
    maker, start = StoreMaker(directory / "archive"), time.monotonic()
    maker.fill(blobs=size.blobs, uploads=size.uploads, days=size.days, members=size.members)
    seconds = time.monotonic() - start
    kept = maker.totals()
    per_blob = f"{seconds / kept.blobs * 1e3:.2f} ms a blob"
    return (
        f"{directory.name}: {kept.blobs:,} blobs, {kept.uploads:,} uploads in {seconds:.0f} s, "
        f"{per_blob}"
    )


def _compared(place: Path, size: _Size, *, rounds: int) -> str:
    timings = _Timings()
    # Collecting a million blobs takes half a minute, and is begun anew where it was cut short.
    servers = {
        name: LiveServer(
            place / name,
            FSYNC="off",
            COLLECT_INTERVAL_SECONDS="off",
            EXPIRE_INTERVAL_SECONDS="off",
        )
        for name in _STORES
    }
    fresh = itertools.count(time.time_ns())
    # Servers of tests print their log at their end.
    with redirect_stdout(StringIO()):
        for _ in range(rounds):
            for name, server in servers.items():
                begun = time.perf_counter()
                with server:
                    timings.add("start, until it answers", name, time.perf_counter() - begun)
                    made = size if name == "large" else _SMALL
                    for work, ask in _works(server, made, fresh):
                        ask()
                        begun = time.perf_counter()
                        count = ask()
                        timings.add(work, name, (time.perf_counter() - begun) / count)
    return timings.table()


def _works(
    server: LiveServer, made: _Size, fresh: Iterator[int]
) -> list[tuple[str, Callable[[], int]]]:
    """What is asked, each a function that asks several times and returns how often."""
    chance = random.Random(1)
    known = [_sha256(content_of(chance.randrange(made.blobs))) for _ in range(_HEADS)]
    unknown = [_sha256(b"unknown %d" % number) for number in range(_HEADS)]
    day = f"/archive/{day_of((made.days + 1) // 2):%Y/%m/%d}/"
    pages = {
        "listing of a day, its first 25 as JSON": (f"{day}?json&limit=25", _JSON),
        "first page": ("/", _HTML),
        "search by a name that is everywhere": ("/uploads?name=upload&limit=25", _JSON),
        "search by a name that is nowhere": ("/uploads?name=nowhere", _JSON),
        "search by digest": (f"/uploads?digest=sha256:{known[0]}", _JSON),
        "statistics": ("/stats", _JSON),
    }
    return [
        ("HEAD, known", lambda: _heads(server, known, 200)),
        ("HEAD, unknown", lambda: _heads(server, unknown, 404)),
        ("upload of 10 KiB", lambda: _uploads(server, fresh)),
        *((name, _getting(server, path, headers)) for name, (path, headers) in pages.items()),
    ]


def _heads(server: LiveServer, digests: list[str], status: int) -> int:
    with server.connect() as wire:
        for digest in digests:
            wire.send_request("HEAD", f"/checksum/sha256:{digest}")
            assert wire.receive_answer("HEAD").status == status
    return len(digests)


def _uploads(server: LiveServer, fresh: Iterator[int]) -> int:
    with server.connect() as wire:
        for number in itertools.islice(fresh, _UPLOADS):
            body = b"%d\n" % number * 1000
            wire.send_request("PUT", "/upload/new.txt", body[:10240])
            assert wire.receive_answer("PUT").status in (200, 201)
    return _UPLOADS


def _getting(server: LiveServer, path: str, headers: dict[str, str]) -> Callable[[], int]:
    def get() -> int:
        with server.connect() as wire:
            for _ in range(_PAGES):
                wire.send_request("GET", path, headers=headers)
                answer = wire.receive_answer()
                assert answer.status == 200, (path, answer)
        return _PAGES

    return get


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
