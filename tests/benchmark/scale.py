"""How much is measured: `QUICK` for every change, `LONG` for releases, `SMOKE` for the tests."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
SMALL_BYTES = 10 * KIB


@dataclass(frozen=True)
class Scale:
    """The sizes and counts of one run; sizes are bytes."""

    name: str
    rounds: int
    #: No round begins that would probably end later.
    limit_seconds: float
    #: How long questions and small downloads are repeated.
    repeat_seconds: float
    big_bytes: int
    small_uploads: int
    kept_files: int
    asked_digests: int
    members: int
    connections: tuple[int, ...]


SMOKE = Scale(
    name="smoke",
    rounds=1,
    limit_seconds=60,
    repeat_seconds=0.1,
    big_bytes=2 * MIB,
    small_uploads=16,
    kept_files=10,
    asked_digests=200,
    members=100,
    connections=(4,),
)
QUICK = Scale(
    name="quick",
    rounds=3,
    limit_seconds=95,
    repeat_seconds=0.2,
    big_bytes=128 * MIB,
    small_uploads=200,
    kept_files=100,
    asked_digests=5_000,
    members=2_000,
    connections=(1, 16, 64),
)
LONG = Scale(
    name="long",
    rounds=5,
    limit_seconds=5400,
    repeat_seconds=3,
    big_bytes=1024 * MIB,
    small_uploads=2_000,
    kept_files=2_000,
    asked_digests=100_000,
    members=20_000,
    connections=(1, 16, 64),
)
