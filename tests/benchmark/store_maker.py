"""Makes a store of any size through the real services and ports, so that nothing is invented."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from httpbucket.config import Settings
from httpbucket.domain.upload import NamedBlob, Record, UploadId
from httpbucket.services.ingest import Offer
from httpbucket.storage.base import Totals
from httpbucket.wiring import build, open_local
from tests.examples import descriptor, identity

Found = TypeVar("Found")

#: Contents that no upload names, for collect to free.
_UNNAMED = 10_000


def content_of(number: int) -> bytes:
    """The content of this number; all are different."""
    return b"content %d" % number


def day_of(number: int) -> datetime:
    """The day so many days ago; a store's uploads came on days 1, 2 and so on."""
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(
        days=number
    )


class StoreMaker:
    """Fills the store at ``root``."""

    def __init__(self, root: Path) -> None:
        environ = {"ARCHIVE_DIR": str(root), "FSYNC": "off", "MAX_CONTENT_LENGTH": "1gb"}
        self._settings = Settings.from_environ(environ)
        self._stores = open_local(self._settings)
        self._now = datetime.now(UTC)
        self._services = build(self._settings, self._stores, now=lambda: self._now)
        self._stores.index.prepare()

    def fill(self, *, blobs: int, uploads: int, days: int, members: int) -> None:
        """Archive files of ``members`` small files each, then uploads of what these hold."""
        self._stores.index.mark_complete(agreed_day="")
        starts = range(0, blobs, members)
        for number, start in enumerate(starts):
            self._now = _moment(number, len(starts), days)
            self._upload_tar(range(start, min(start + members, blobs)))
        rest = max(0, uploads - len(starts))
        for number in range(rest):
            self._upload_again(number % blobs, _moment(number, rest, days), number)
        yesterday = f"{day_of(1):%Y/%m/%d}"
        self._stores.index.mark_complete(agreed_day=yesterday)
        self._stores.index.close()

    def totals(self) -> Totals:
        """What the index counts."""
        return self._stores.index.totals()

    def repair_costs(self) -> str:
        """How long collect and scrub take for a blob, and making the index anew."""
        lines = [self._cost_of_collecting()]
        self._keep_without_upload(_UNNAMED)
        lines.append(self._cost_of_collecting())
        scrubbed, seconds = _timed(self._services.scrub.run)
        lines.append(f"scrub: {seconds / scrubbed.blobs * 1e6:.0f} µs a blob of {scrubbed.blobs:,}")
        totals = self.totals()
        self._stores.index.close()
        for path in (self._settings.archive_dir / "private").glob("index.sqlite3*"):
            path.unlink()
        _, seconds = _timed(self._services.reindex.catch_up)
        each = f"{seconds / totals.blobs * 1e6:.0f} µs a blob"
        lines.append(f"reindex: {seconds:.1f} s, {each}, {totals.uploads:,} uploads with them")
        _, seconds = _timed(self._services.reindex.catch_up)
        lines.append(f"reindex with nothing to do: {seconds:.2f} s")
        return "\n".join(lines)

    def _cost_of_collecting(self) -> str:
        later = datetime.now(UTC) + timedelta(seconds=self._settings.collect_grace_seconds + 1)
        collect = partial(self._services.collect.run, later, despite_lost_leases=True)
        tally, seconds = _timed(collect)
        each = f"{seconds / tally.looked_at * 1e6:.0f} µs a blob of {tally.looked_at:,}"
        return f"collect: {each}, {tally.blobs:,} of them freed"

    def _keep_without_upload(self, count: int) -> None:
        """As an upload does whose publication fails."""
        batch = self._stores.blobs.batch()
        for number in range(count):
            content = b"unnamed %d" % number
            batch.add_bytes(content, identity(content))
        batch.keep()
        batch.discard()

    def _upload_tar(self, numbers: range) -> None:
        with closing(self._services.ingest.begin()) as act:
            incoming = act.new_file()
            incoming.write(_tar_of(numbers))
            self._services.ingest.keep(Offer(incoming, f"tree-{numbers.start}.tar"))

    def _upload_again(self, content: int, moment: datetime, number: int) -> None:
        """What a producer does that asks first and then names a content that is there."""
        blob = descriptor(content_of(content))
        record = Record(
            UploadId.new(moment, number), moment, NamedBlob(f"upload-{number}.txt", blob)
        )
        self._stores.records.publish(record)
        self._stores.index.add(record, None)


def _moment(number: int, count: int, days: int) -> datetime:
    """When the upload ``number`` of ``count`` came: they are spread evenly over the days."""
    passed = timedelta(days=number * days / count)
    return day_of(days) + passed - timedelta(hours=11)


def _timed(work: Callable[[], Found]) -> tuple[Found, float]:
    begun = time.perf_counter()
    found = work()
    return found, time.perf_counter() - begun


def _tar_of(numbers: range) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number in numbers:
            content = content_of(number)
            member = tarfile.TarInfo(f"{number % 97}/{number}.txt")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
