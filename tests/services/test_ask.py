"""Ask: what is there need not be sent, and stays for a while."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from httpbucket.domain.errors import BlobNotFound, IndexNotReady
from httpbucket.storage.base import Index
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.examples import NOW, identity, keep_upload
from tests.services.asking import (
    DAY,
    EXPIRING,
    HOUR,
    THERE,
    add,
    ask_many_of,
    ask_of,
    leased,
    lines,
    missing,
)
from tests.services.fakes import Journal, RecordingIndex


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return local_backend(tmp_path / "store").stores


def test_without_any_index_a_sha256_is_found_on_the_disk(stores: Stores) -> None:
    keep_upload(stores, THERE)
    index = RecordingIndex(Journal())
    index.refusal = IndexNotReady("not now")
    assert ask_of(stores, index).find([identity(THERE)]) == (identity(THERE),)


#: Each way to ask, by stores and an index, for a content that expires.
WAYS: dict[str, Callable[[Stores, Index], object]] = {
    "find": lambda stores, index: ask_of(stores, index).find([identity(EXPIRING)]),
    "resolve": lambda stores, index: ask_of(stores, index).resolve([identity(EXPIRING)]),
    "many": lambda stores, index: missing(ask_many_of(stores, index), lines(EXPIRING)),
}


@pytest.mark.parametrize("way", WAYS)
class TestLeases:
    def test_what_expires_too_early_stays(self, stores: Stores, way: str) -> None:
        add(stores, EXPIRING, expires=NOW + HOUR)
        WAYS[way](stores, stores.index)
        assert leased(stores, EXPIRING, now=NOW + DAY)
        assert not leased(stores, EXPIRING, now=NOW + 2 * DAY)

    def test_what_stays_anyway_takes_no_lease(self, stores: Stores, way: str) -> None:
        add(stores, EXPIRING, expires=NOW + HOUR)
        add(stores, EXPIRING, number=1, expires=NOW + 2 * DAY)
        WAYS[way](stores, stores.index)
        assert not leased(stores, EXPIRING)

    def test_what_cannot_be_leased_is_not_promised(self, stores: Stores, way: str) -> None:
        index = RecordingIndex(Journal())
        index.lease_refusal = IndexNotReady("The disk is full.")
        index.mark_complete(agreed_day="")
        index.add(keep_upload(stores, EXPIRING), None)
        with pytest.raises(IndexNotReady):
            WAYS[way](stores, index)

    def test_what_went_before_its_lease_came_is_not_there(self, stores: Stores, way: str) -> None:
        index = ForgettingIndex(Journal())
        index.mark_complete(agreed_day="")
        index.add(keep_upload(stores, EXPIRING), None)
        there = [lines(EXPIRING)[0].raws]
        try:
            answer = WAYS[way](stores, index)
        except BlobNotFound:
            answer = there
        assert answer == there


class ForgettingIndex(RecordingIndex):
    """Everything expires just before it is leased."""

    def lease(
        self,
        blobs: object,
        *,
        at_least: datetime,
        until: datetime,
        despite_uploads: bool = False,
    ) -> bool:
        self._aliases.clear()
        return True
