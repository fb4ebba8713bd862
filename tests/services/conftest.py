"""Stores for use cases that are to do the same on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from httpbucket.wiring import Stores
from tests.backends import local_backend, memory_backend


@pytest.fixture(params=["memory", "local"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    """Each backend's; whoever leaves something staged fails."""
    backend = memory_backend() if request.param == "memory" else local_backend(tmp_path / "store")
    yield backend.stores
    backend.stores.index.close()
    assert backend.staged() == []
