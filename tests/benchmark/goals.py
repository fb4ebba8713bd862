"""What we want to reach, as ratios of medians of one run: `GOALS`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.benchmark.asking import AT_ONCE
from tests.benchmark.results import Results
from tests.benchmark.scale import MIB
from tests.benchmark.sending import BARE, IN_MEMORY
from tests.benchmark.servers import BUCKETS, SYNCED, UNSYNCED, UNSYNCED_SHA256
from tests.benchmark.unpacking import LINKS, SHELL

_Side = tuple[str, str]


@dataclass(frozen=True)
class Goal:
    """Our rate is to be at least ``least`` times theirs; sides are (work, contestant)."""

    title: str
    ours: _Side
    theirs: _Side
    least: float

    def reached(self, results: Results) -> float | None:
        """The ratio; None where one side was not measured."""
        return results.ratio(self.ours, self.theirs)


def _against(
    title: str, work: str, ours: str, peers: Mapping[str, float], theirs: str = ""
) -> Iterator[Goal]:
    """Goals for one work against several peers, who did ``theirs`` or the same."""
    for peer, least in peers.items():
        yield Goal(f"{title}, against {peer}", (work, ours), (theirs or work, peer), least)


_HEAD = {"copyparty": 4, "Caddy": 1.5, "docker-registry": 10, "nginx": 0.5}
_BIG = {"docker-registry": 3.5, "copyparty": 1.8, "nginx": 0.5}
_SMALL = {"docker-registry": 3, "copyparty": 0.7, "nginx": 0.7}
_NGINX_PUTS = {"nginx": 2}

GOALS: tuple[Goal, ...] = (
    *_against("HEAD, 16 connections", "head-known-16", SYNCED, _HEAD),
    *_against(
        f"many digests in one question, {AT_ONCE} connections",
        f"batch-known-{AT_ONCE}",
        SYNCED,
        {"nginx": 5},
        "head-known-16",
    ),
    *_against("PUT, SHA-256 only, FSYNC=off", "put-big", UNSYNCED_SHA256, _BIG),
    *_against("PUT, default digests, FSYNC=off", "put-big", UNSYNCED, {"copyparty": 1}),
    *_against("PUT, default digests, FSYNC=off", "put-big", UNSYNCED, {IN_MEMORY: 0.8}, "hash-big"),
    Goal(
        "multipart against PUT, SHA-256 only, FSYNC=off",
        ("form-big", UNSYNCED_SHA256),
        ("put-big", UNSYNCED_SHA256),
        0.85,
    ),
    Goal(
        "multipart against PUT, default digests, FSYNC=off",
        ("form-big", UNSYNCED),
        ("put-big", UNSYNCED),
        0.85,
    ),
    *_against("10 KiB PUTs, 8 connections, FSYNC=off", "put-small-8", UNSYNCED, _SMALL),
    *_against(
        "10 KiB PUTs, 8 connections, FSYNC=on", "put-small-8", SYNCED, {BARE: 0.7}, "bare-small"
    ),
    *_against(
        "10 KiB as multipart, 8 connections, FSYNC=off",
        "form-small-8",
        UNSYNCED,
        _SMALL,
        "put-small-8",
    ),
    *_against(
        "10 KiB as multipart, 8 connections, FSYNC=on",
        "form-small-8",
        SYNCED,
        {BARE: 0.7},
        "bare-small",
    ),
    *_against(
        "10 KiB files in one tar, per file, FSYNC=on",
        "tar-small",
        SYNCED,
        _NGINX_PUTS,
        "put-small-8",
    ),
    *_against(
        "10 KiB files as parts, per file, FSYNC=on",
        "parts-small",
        SYNCED,
        _NGINX_PUTS,
        "put-small-8",
    ),
    *_against("GET of a big file", "get-big", SYNCED, {"nginx": 1}),
    *_against(
        "GET of 10 KiB, 16 connections",
        "get-small-16",
        SYNCED,
        {"docker-registry": 3, "copyparty": 1.3},
    ),
    *_against("unpack .tgz, FSYNC=off", "unpack-tgz", UNSYNCED, {SHELL["tgz"]: 0.5}),
    *_against("unpack .zip, FSYNC=off", "unpack-zip", UNSYNCED, {SHELL["zip"]: 0.5}),
    *_against("unpack .tgz again, FSYNC=off", "again-tgz", UNSYNCED, {LINKS: 0.5}),
    *_against("unpack .zip again, FSYNC=off", "again-zip", UNSYNCED, {LINKS: 0.5}),
)

#: By how much a process may grow beyond its idle size, without and with unpacking: two files are
#: unpacked at a time, at most.
MOST_GROWN = 64 * MIB
MOST_GROWN_UNPACKING = MOST_GROWN + 2 * 80 * MIB

#: Works during which something is unpacked or packed, be it to have something to ask for.
UNPACKING = (
    "batch-known",
    f"batch-known-{AT_ONCE}",
    "tar-small",
    "unpack-tgz",
    "unpack-zip",
    "again-tgz",
    "again-zip",
)


def grown(results: Results) -> tuple[int | None, int | None]:
    """By how many bytes one of our processes grew at most, without and with unpacking.

    A size that unpacking left behind counts as unpacking's.
    """
    return results.grown_bytes([kind.name for kind in BUCKETS], until=UNPACKING)
