"""Is it there? A hundred thousand digests in one question, against one question for each."""

from __future__ import annotations

import hashlib
import io
import shutil
import statistics
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.live.server import LiveServer

#: What one question may hold.
DIGESTS = 100_000

HEADS = 3_000

_BATCH, _HALF, _MD5 = "POST, all are there", "POST, half are missing", "POST, by MD5"
_HEAD = "HEAD, one connection"


def benchmark(directory: Path, *, rounds: int) -> str:
    """Ask in every way ``rounds`` times: digests a second, and how many HEADs one POST saves."""
    directory.mkdir()
    contents = [b"content %d" % number for number in range(DIGESTS)]
    with LiveServer(directory, FSYNC="off", MAX_CONTENT_LENGTH="1gb") as server:
        assert server.upload(_archive_of(contents), "all.tar")["path"]["archive"]
        rates = {name: _rates(ask, rounds) for name, ask in _questions(server, contents).items()}
    shutil.rmtree(directory)
    head = statistics.median(rates[_HEAD])
    lines = [f"{'':30} {'digests/s':>12} {'range':>22} {'× HEAD':>8}"]
    for name, found in rates.items():
        median, span = statistics.median(found), f"{min(found):,.0f} – {max(found):,.0f}"
        lines.append(f"{name:30} {median:12,.0f} {span:>22} {median / head:8.0f}")
    return "\n".join([f"Which of {DIGESTS:,} contents are there? {rounds} rounds", "", *lines])


def _rates(ask: Callable[[], int], rounds: int) -> list[float]:
    """Digests a second, of each round."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        count = ask()
        found.append(count / (time.perf_counter() - start))
    return found


def _questions(server: LiveServer, contents: list[bytes]) -> dict[str, Callable[[], int]]:
    there = _sums(contents)
    missing = _sums([b"other" + content for content in contents[: DIGESTS // 2]])
    by_md5 = _sums(contents, "md5")
    half = [line for pair in zip(there, missing, strict=False) for line in pair]
    return {
        _BATCH: lambda: _post(server, there, []),
        _HALF: lambda: _post(server, half, missing),
        _MD5: lambda: _post(server, by_md5, []),
        _HEAD: lambda: _heads(server, there[:HEADS]),
    }


def _post(server: LiveServer, lines: list[bytes], missing: list[bytes]) -> int:
    answer = server.request("POST", "/checksum", b"".join(lines))
    assert (answer.status, answer.body) == (200, b"".join(missing))
    return len(lines)


def _heads(server: LiveServer, lines: list[bytes]) -> int:
    with server.connect() as wire:
        for line in lines:
            wire.send_request("HEAD", f"/checksum/{line.split()[0].decode()}")
            assert wire.receive_answer("HEAD").status == 200
    return len(lines)


def _sums(contents: list[bytes], algorithm: str = "sha256") -> list[bytes]:
    digests = [hashlib.new(algorithm, content).hexdigest() for content in contents]
    return [
        f"{digest}  report/{number // 200}/{number}.xml\n".encode()
        for number, digest in enumerate(digests)
    ]


def _archive_of(contents: list[bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number, content in enumerate(contents):
            member = tarfile.TarInfo(f"{number // 200}/{number}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
