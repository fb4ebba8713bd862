"""Housekeeping does what is due, one process at a time, and notes when."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from httpbucket.config import Settings
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import StorageUnavailable
from httpbucket.server.housekeeping import RETRY_SECONDS, Housekeeping
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores, build
from tests.backends import local_backend
from tests.examples import NOW, identity, keep_staged, keep_upload

WITHOUT_GRACE = {"COLLECT_GRACE_SECONDS": "0", "LEASE_SECONDS": "1"}


class House:
    """A store whose clock the test sets; ``look`` is what the thread does now and then."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self.stores: Stores = local_backend(root).stores
        self.now = NOW
        self.restart()
        self.services.reindex.catch_up()
        self.stores.index.leases_since(NOW - timedelta(days=9))

    def restart(self, **environ: str) -> None:
        """Another process, with other settings."""
        settings = Settings.from_environ(WITHOUT_GRACE | environ)
        self.services = build(settings, self.stores, now=self.clock)
        self.housekeeping = Housekeeping(settings, self.stores, self.services, now=self.clock)

    def clock(self) -> datetime:
        return self.now

    def look(self, *, after: timedelta = timedelta(0)) -> None:
        self.now += after
        self.housekeeping.look()

    def leave_orphan(self, content: bytes) -> Digest:
        keep_staged(self.stores, content)
        # Kept at the real time; the store's is another.
        self.now = max(self.now, datetime.now(NOW.tzinfo) + timedelta(seconds=2))
        return identity(content)

    def has(self, blob: Digest) -> bool:
        return self.stores.blobs.size(blob) is not None


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "store")
    yield house
    house.stores.index.close()


def test_expired_uploads_go_once_an_interval_has_passed(house: House) -> None:
    house.look()
    record = keep_upload(house.stores, b"content")
    record = house.stores.records.amend(record.id, lambda one: replace(one, expires=NOW))
    house.stores.index.add(record, None)
    house.look(after=timedelta(minutes=59))
    assert house.stores.records.has(record.id) is True
    house.look(after=timedelta(minutes=1))
    assert house.stores.records.has(record.id) is False


def test_contents_that_nothing_names_go(house: House) -> None:
    orphan = house.leave_orphan(b"orphan")
    house.look()
    assert house.has(orphan) is False


def test_a_restart_does_not_begin_anew(house: House) -> None:
    house.leave_orphan(b"first")
    house.look()
    second = house.leave_orphan(b"second")
    house.restart()
    house.look()
    assert house.has(second) is True
    house.look(after=timedelta(days=1))
    assert house.has(second) is False


def test_a_clock_that_was_set_back_does_not_stop_the_work(house: House) -> None:
    house.now += timedelta(days=5000)
    house.look()
    house.now -= timedelta(days=4000)
    orphan = house.leave_orphan(b"orphan")
    house.look()
    assert house.has(orphan) is False


def test_what_is_off_is_not_done(house: House) -> None:
    house.restart(COLLECT_INTERVAL_SECONDS="off", EXPIRE_INTERVAL_SECONDS="0")
    orphan = house.leave_orphan(b"orphan")
    house.look()
    assert house.has(orphan) is True


def test_nothing_is_done_while_another_process_is_at_it(house: House) -> None:
    orphan = house.leave_orphan(b"orphan")
    with house.stores.only_one("housekeeping") as mine:
        assert mine is True
        house.look()
    assert house.has(orphan) is True


def test_nothing_goes_while_the_index_does_not_know_all(house: House) -> None:
    orphan = house.leave_orphan(b"orphan")
    house.stores.index.mark_incomplete()
    house.look()
    assert house.has(orphan) is True


def test_nothing_goes_before_leases_that_a_lost_index_held_are_over(house: House) -> None:
    orphan = house.leave_orphan(b"orphan")
    house.restart(LEASE_SECONDS=str(20 * 365 * 86400))
    house.look()
    assert house.has(orphan) is True


def test_what_fails_is_told_and_tried_again_soon_while_the_rest_is_done(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise StorageUnavailable("not now")

    orphan = house.leave_orphan(b"orphan")
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(house.services.collect, "run", refuse)
        house.look()
        house.look()
    assert [record.getMessage() for record in caplog.records] == [
        "What is due (collect) is tried again later: not now"
    ]
    house.look(after=timedelta(seconds=RETRY_SECONDS))
    assert house.has(orphan) is False


def test_what_was_stopped_is_done_at_the_next_start(house: House) -> None:
    orphan = house.leave_orphan(b"orphan")
    house.housekeeping.stop()
    house.look()
    assert house.has(orphan) is True
    house.restart()
    house.look()
    assert house.has(orphan) is False


def test_a_scrub_is_spread_over_its_interval_and_then_begins_anew(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    records = [keep_upload(house.stores, f"{n}".encode(), number=n) for n in range(40)]
    for record in records:
        house.stores.index.add(record, None)
    blobs = list(house.stores.blobs.digests())
    rotten = blobs[30]
    path = house.layout.blob(rotten)
    path.chmod(0o600)
    path.write_bytes(b"x")
    house.look()
    house.look(after=timedelta(days=15))
    progress = house.services.scrub_by_duty.progress()
    assert progress is not None
    assert 0.3 < progress.share <= 0.5
    assert house.has(rotten) is True
    with caplog.at_level(logging.ERROR):
        house.look(after=timedelta(days=15))
    assert house.has(rotten) is False
    assert f"Blob {rotten} is rotten" in caplog.text
    house.look()
    again = house.services.scrub_by_duty.progress()
    assert again is not None
    assert (again.last, again.began) == (None, house.now)


def test_the_thread_ends_when_it_is_told(house: House) -> None:
    house.housekeeping.stop()
    house.housekeeping._run()
