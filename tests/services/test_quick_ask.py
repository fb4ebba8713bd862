"""One look at the index is enough for most questions; the others are asked in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import IndexNotReady
from httpbucket.services.quick_ask import QuickAsk
from httpbucket.storage.base import Index
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.memory import MemoryIndex
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.examples import NOW, descriptor, keep_upload
from tests.services.asking import ask_of

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
    return quick_ask(stores, usual, stores.index)


def quick_ask(stores: Stores, usual: AskCounting, index: Index | None) -> QuickAsk:
    return QuickAsk(
        ask=usual,  # type: ignore[arg-type]
        index=index,
        blobs=stores.blobs,
        lease_seconds=86_400,
        now=lambda: NOW,
    )


def test_known_and_unknown_take_one_look(
    stores: Stores, quick: QuickAsk, usual: AskCounting
) -> None:
    stores.index.mark_complete(agreed_day="")
    known = [(digest,) for digest in THERE.all_digests()]
    unknown = [(digest,) for digest in UNKNOWN.all_digests()]
    both = (UNKNOWN.sha256, THERE.sha256)
    answers = quick.answers([*known, *unknown, both, (), both[:1], *known])
    expected = [True] * len(known) + [False] * len(unknown) + [True, False, False]
    assert answers == expected + [True] * len(known)
    assert usual.count == 0


def test_nothing_asked_is_nothing_answered(quick: QuickAsk) -> None:
    assert quick.answers([]) == []


def test_while_the_index_is_rebuilt_all_is_asked_in_full(
    stores: Stores, quick: QuickAsk, usual: AskCounting
) -> None:
    unknown = Digest("md5", UNKNOWN.digests["md5"])
    assert quick.answers([(THERE.sha256,), (unknown,)]) == [True, None]
    assert usual.count == 2


def test_what_is_gone_from_the_disk_is_not_there(
    tmp_path: Path, stores: Stores, quick: QuickAsk, usual: AskCounting
) -> None:
    stores.index.add(keep_upload(stores, b"gone", number=1), None)
    stores.index.mark_complete(agreed_day="")
    Layout(tmp_path / "store").blob(GONE.sha256).unlink()
    assert quick.answers([(GONE.sha256,), (THERE.sha256,)]) == [False, True]
    assert usual.count == 1


def test_what_may_go_soon_gets_its_lease(
    stores: Stores, quick: QuickAsk, usual: AskCounting
) -> None:
    expiring = replace(keep_upload(stores, b"gone", number=1), expires=NOW + timedelta(hours=1))
    stores.index.add(expiring, None)
    stores.index.mark_complete(agreed_day="")
    assert quick.answers([(GONE.sha256,), (UNKNOWN.sha256,)]) == [True, False]
    assert usual.count == 1
    assert stores.index.lease_until(GONE.sha256) is not None


def test_what_the_index_cannot_tell_is_nobodys_answer(stores: Stores, usual: AskCounting) -> None:
    class Busy(MemoryIndex):
        def find_lasting(self, digests: Sequence[Digest], until: datetime) -> Sequence[None]:
            raise IndexNotReady("busy")

    quick = quick_ask(stores, usual, Busy())
    assert quick.answers([(THERE.sha256,), (UNKNOWN.sha256,)]) == [None, None]
    assert usual.count == 0


def test_where_leases_are_given_whatever_there_is_all_is_asked_in_full(
    stores: Stores, usual: AskCounting
) -> None:
    stores.index.mark_complete(agreed_day="")
    assert quick_ask(stores, usual, None).answers([(THERE.sha256,)]) == [True]
    assert usual.count == 1
