"""One look at the index is enough for most questions; the others are asked in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BlobNotFound, IndexNotReady
from httpbucket.services.quick_ask import QuickAsk
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.examples import NOW, descriptor, keep_upload
from tests.services.test_ask import ask_of

THERE, GONE = descriptor(b"there"), descriptor(b"gone")
UNKNOWN = descriptor(b"unknown")


class AskCounting:
    """Counts the questions that one look did not answer."""

    def __init__(self, stores: Stores) -> None:
        self._ask = ask_of(stores)
        self.count = 0

    def find(self, question: Sequence[Digest]) -> tuple[Digest, ...]:
        self.count += 1
        return self._ask.find(question)


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    stores = local_backend(tmp_path / "store").stores
    stores.index.add(keep_upload(stores, b"there"), None)
    return stores


@pytest.fixture
def usual(stores: Stores) -> AskCounting:
    return AskCounting(stores)


@pytest.fixture
def quick(stores: Stores, usual: AskCounting) -> QuickAsk:
    return QuickAsk(
        ask=usual,  # type: ignore[arg-type]
        index=stores.index,
        blobs=stores.blobs,
        lease_seconds=86_400,
        now=lambda: NOW,
    )


def test_known_and_unknown_take_one_look(
    stores: Stores, quick: QuickAsk, usual: AskCounting
) -> None:
    stores.index.mark_complete(agreed_day="")
    for digest in THERE.all_digests():
        quick.require((digest,))
    for digest in UNKNOWN.all_digests():
        with pytest.raises(BlobNotFound):
            quick.require((digest,))
    with pytest.raises(BlobNotFound):
        quick.require(())
    quick.require((UNKNOWN.sha256, THERE.sha256))
    assert usual.count == 0


def test_while_the_index_is_rebuilt_all_is_asked_in_full(
    stores: Stores, quick: QuickAsk, usual: AskCounting
) -> None:
    quick.require((THERE.sha256,))
    with pytest.raises(IndexNotReady):
        quick.require((Digest("md5", UNKNOWN.digests["md5"]),))
    assert usual.count == 2


def test_what_is_gone_from_the_disk_is_not_there(
    stores: Stores, quick: QuickAsk, usual: AskCounting
) -> None:
    stores.index.mark_complete(agreed_day="")
    path = stores.blobs.local_path(THERE.sha256)
    assert path is not None
    path.unlink()
    with pytest.raises(BlobNotFound):
        quick.require((THERE.sha256,))
    assert usual.count == 1


def test_what_may_go_soon_gets_its_lease(
    stores: Stores, quick: QuickAsk, usual: AskCounting
) -> None:
    expiring = replace(keep_upload(stores, b"gone", number=1), expires=NOW + timedelta(hours=1))
    stores.index.add(expiring, None)
    stores.index.mark_complete(agreed_day="")
    quick.require((GONE.sha256,))
    assert usual.count == 1
    assert stores.index.lease_until(GONE.sha256) is not None


def test_where_leases_are_given_whatever_there_is_all_is_asked_in_full(
    stores: Stores, usual: AskCounting
) -> None:
    stores.index.mark_complete(agreed_day="")
    quick = QuickAsk(
        ask=usual,  # type: ignore[arg-type]
        index=None,
        blobs=stores.blobs,
        lease_seconds=86_400,
        now=lambda: NOW,
    )
    quick.require((THERE.sha256,))
    assert usual.count == 1
