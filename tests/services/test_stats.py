"""Stats add up what the index and the disk tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from httpbucket.services.reindex import Reindex
from httpbucket.services.stats import Stats
from httpbucket.storage.base import Space, Totals
from httpbucket.storage.memory import MemoryCapacity, MemoryIndex
from httpbucket.wiring import Stores
from tests.backends import local_backend, memory_backend
from tests.examples import NOW, descriptor, keep_upload, record_of

SPACE = Space(total=1000, free=400)


def test_they_tell_what_equal_content_saved() -> None:
    index = MemoryIndex()
    for number in range(3):
        index.add(record_of(descriptor(b"equal"), number=number), None)
    holdings = Stats(index=index, capacity=MemoryCapacity(SPACE)).holdings()
    assert (holdings.totals, holdings.space) == (Totals(3, 15, 1, 5), SPACE)
    assert (holdings.saved_size, holdings.is_complete) == (10, False)


def test_a_store_that_tells_too_little_saved_nothing() -> None:
    holdings = Stats(index=MemoryIndex(), capacity=MemoryCapacity()).holdings()
    assert (holdings.saved_size, holdings.space) == (0, None)


@pytest.mark.parametrize("kind", ["memory", "local"])
def test_a_rebuilt_index_counts_the_same(tmp_path: Path, kind: str) -> None:
    backend = memory_backend() if kind == "memory" else local_backend(tmp_path / "store")
    stores = backend.stores
    for number, content in enumerate([b"one", b"one", b"other"]):
        keep_upload(stores, content, number=number)
    catch_up(stores)
    catch_up(stores)
    stats = Stats(index=stores.index, capacity=stores.capacity)
    assert stats.holdings().totals == Totals(3, 11, 2, 8)
    assert stats.holdings().is_complete
    stores.index.close()


def catch_up(stores: Stores) -> None:
    reindex = Reindex(
        records=stores.records, trees=stores.trees, index=stores.index, now=lambda: NOW
    )
    assert reindex.catch_up()
