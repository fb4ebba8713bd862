"""Questions for contents, and stores that have some of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from httpbucket.domain.checksum_runs import ChecksumRun, read_runs
from httpbucket.services.ask import Ask
from httpbucket.services.ask_many import AskMany
from httpbucket.services.leases import Leases
from httpbucket.services.lookup import Lookup
from httpbucket.storage.base import Index
from httpbucket.wiring import Stores
from tests.examples import NOW, identity, keep, record_of

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
THERE, EXPIRING = b"there", b"expiring"


def ask_of(stores: Stores, index: Index | None = None) -> Ask:
    index = index or stores.index
    return Ask(lookup=Lookup(blobs=stores.blobs, index=index), index=index, leases=leases_of(index))


def ask_many_of(stores: Stores, index: Index | None = None) -> AskMany:
    index = index or stores.index
    return AskMany(
        ask=ask_of(stores, index),
        lookup=Lookup(blobs=stores.blobs, index=index),
        blobs=stores.blobs,
        index=index,
        leases=leases_of(index),
        staging=stores.staging,
    )


def leases_of(index: Index) -> Leases:
    return Leases(index=index, seconds=86_400, now=lambda: NOW)


def missing(ask: AskMany, asked: Iterable[ChecksumRun]) -> list[bytes]:
    """The bytes in which those came that have to be sent."""
    with ask.hold() as held:
        for run in asked:
            held.add(run)
        marks = iter(ask.missing(held))
        return [
            raw for run in held for raw in run.raws_marked([next(marks) for _ in range(run.total)])
        ]


def lines(*contents: bytes, algorithm: str = "sha256", preferred: str = "md5") -> list[ChecksumRun]:
    """What a checksum tool would print for files that are called like their contents."""
    sums = [hashlib.new(algorithm, content).hexdigest().encode() for content in contents]
    text = b"".join(b"%s  %s.xml\n" % pair for pair in zip(sums, contents, strict=True))
    return list(read_runs([text], preferred=preferred))


def names(raws: list[bytes]) -> list[str]:
    return [raw.decode().split()[1] for raw in raws]


def add(
    stores: Stores, content: bytes, *, number: int = 0, expires: datetime | None = None
) -> None:
    """Keep an upload, in an index that is complete."""
    record = replace(record_of(keep(stores, content), number=number), expires=expires)
    stores.records.publish(record)
    stores.index.add(record, None)
    stores.index.mark_complete(agreed_day="")


def leased(stores: Stores, content: bytes, *, now: datetime = NOW) -> bool:
    return bool(stores.index.leased([identity(content)], now=now))
