"""Archive files of many small members: the server against tar, and against bare links.

Every round runs every contestant once, so that a machine that is busy for a while slows all of
them. The client and the server share the machine.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import tarfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.live.server import LiveServer

MEMBERS = 20_000
MEMBERS_IN_A_DIRECTORY = 200

#: What the server computes of an upload by default.
DIGESTS = ("md5", "sha256", "sha512")

_PIECE = 256 * 1024


class Timings:
    """Seconds by contestant, one for each round."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def measure(self, contestant: str, work: Callable[[], None]) -> None:
        """Run ``work`` once, on a disk that has nothing to write back from before."""
        os.sync()
        start = time.perf_counter()
        work()
        self._seconds[contestant].append(time.perf_counter() - start)

    def median(self, contestant: str) -> float:
        return statistics.median(self._seconds[contestant])

    def table(self) -> str:
        """A line for each contestant: the median, the range, members a second."""
        lines = [f"{'':58} {'median':>8} {'range':>15} {'members/s':>10}"]
        for contestant, seconds in self._seconds.items():
            median = self.median(contestant)
            span = f"{min(seconds):.2f} – {max(seconds):.2f}"
            lines.append(f"{contestant:58} {median:6.2f} s {span:>15} {MEMBERS / median:10,.0f}")
        return "\n".join(lines)


def benchmark(directory: Path, *, rounds: int) -> str:
    """Run all contestants ``rounds`` times; a table, and the ratios that count."""
    timings = Timings()
    archives = [archive_of_small_members(seed) for seed in (1, 2)]
    for number in range(rounds):
        place = directory / f"round-{number}"
        place.mkdir()
        (place / "many.tgz").write_bytes(archives[0])
        _measure_tar(timings, place)
        for fsync in ("off", "on"):
            _measure_server(timings, place, fsync, archives)
        shutil.rmtree(place)
    title = f"{MEMBERS:,} members of 1 to 3 KiB in a .tgz of {len(archives[0]) / 1e6:.1f} MB, "
    return "\n".join([f"{title}{rounds} rounds", "", timings.table(), "", *_ratios(timings)])


def archive_of_small_members(seed: int) -> bytes:
    """A ``.tgz`` of pages that are all different and compress about as HTML does."""
    chance = random.Random(seed)
    words = [chance.randbytes(4).hex() for _ in range(2000)]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as archive:
        for number in range(MEMBERS):
            name = f"report/{number // MEMBERS_IN_A_DIRECTORY:03}/module_{number:05}.html"
            content = " ".join(chance.choices(words, k=chance.randint(115, 340))).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


TAR = "tar xzf"
TAR_AND_SUMS = "tar xzf, then sha256sum of every file"


def _measure_tar(timings: Timings, place: Path) -> None:
    def unpack(then: str = "") -> None:
        (place / "out").mkdir()
        subprocess.run(["sh", "-euc", f"tar xzf ../many.tgz {then}"], cwd=place / "out", check=True)

    sums = "&& find . -type f -print0 | xargs -0 sha256sum > ../sums"
    timings.measure(TAR, unpack)
    shutil.rmtree(place / "out")
    timings.measure(TAR_AND_SUMS, lambda: unpack(sums))
    shutil.rmtree(place / "out")


def _first(fsync: str) -> str:
    return f"first upload into a new store, FSYNC={fsync}"


def _other(fsync: str) -> str:
    return f"first upload into a store in use, FSYNC={fsync}"


def _again(fsync: str) -> str:
    return f"second upload of the same file, FSYNC={fsync}"


BARE = "receive and hash the file, then a bare loop of link"


def _measure_server(timings: Timings, place: Path, fsync: str, archives: list[bytes]) -> None:
    directory = place / f"server-{fsync}"
    directory.mkdir()
    receipts: list[dict[str, Any]] = []

    def upload(content: bytes) -> Callable[[], None]:
        return lambda: receipts.append(server.upload(content, "many.tgz"))

    with LiveServer(directory, FSYNC=fsync, MAX_CONTENT_LENGTH="1gb") as server:
        server.upload(b"warm")
        timings.measure(_first(fsync), upload(archives[0]))
        timings.measure(_again(fsync), upload(archives[0]))
        timings.measure(_other(fsync), upload(archives[1]))
        names = _blobs_and_names(server, receipts[0])
    if fsync == "off":
        timings.measure(BARE, lambda: _receive_hash_and_link(archives[0], names, place / "bare"))
    shutil.rmtree(directory)


def _blobs_and_names(server: LiveServer, receipt: dict[str, Any]) -> list[tuple[str, str]]:
    manifest = server.archive / receipt["path"]["upload"] / ".manifest.jsonl"
    lines = manifest.read_bytes().splitlines()[1:]
    entries = [json.loads(line) for line in lines]
    assert len(entries) == MEMBERS
    digests = [entry["digests"]["sha256"] for entry in entries]
    blobs = [f"{server.archive}/blob/{one[:2]}/{one[2:4]}/{one}" for one in digests]
    return list(zip(blobs, [entry["path"] for entry in entries], strict=True))


def _receive_hash_and_link(content: bytes, names: list[tuple[str, str]], target: Path) -> None:
    """The least that a second upload has to do: nothing is checked, recorded or answered."""
    target.mkdir()
    ours, theirs = socket.socketpair()
    with ours, theirs, (target / "received").open("wb") as received:
        sender = threading.Thread(target=_send, args=(theirs, content))
        sender.start()
        hashers = [hashlib.new(name) for name in DIGESTS]
        while piece := ours.recv(_PIECE):
            received.write(piece)
            for hasher in hashers:
                hasher.update(piece)
        sender.join()
    for parent in {name.rpartition("/")[0] for _, name in names}:
        (target / parent).mkdir(parents=True)
    for blob, name in names:
        os.link(blob, f"{target}/{name}")


def _send(target: socket.socket, content: bytes) -> None:
    target.sendall(content)
    target.shutdown(socket.SHUT_WR)


def _ratios(timings: Timings) -> list[str]:
    pairs = [
        (_again("off"), BARE),
        (_again("on"), BARE),
        (_first("off"), TAR_AND_SUMS),
        (_other("off"), TAR_AND_SUMS),
        (_first("on"), TAR_AND_SUMS),
        (_other("on"), TAR_AND_SUMS),
    ]
    return [
        f"{first}: {timings.median(first) / timings.median(second):.2f} × ({second})"
        for first, second in pairs
    ]
