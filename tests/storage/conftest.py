"""Each backend, for the contract suites; what a test leaves staged fails it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from httpbucket.storage.base import Index
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.memory import MemoryIndex
from httpbucket.storage.sqlite_index import SqliteIndex
from httpbucket.wiring import Stores
from tests.backends import Backend, local_backend, memory_backend

BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "memory": lambda root: memory_backend(),
    "local": local_backend,
    "local-unnamed": lambda root: local_backend(root, in_memory=False),
    "local-past-cache": lambda root: local_backend(root, in_memory=False, large=0),
    "local-named": lambda root: local_backend(root, unnamed=False),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def layout(root: Path) -> Layout:
    return Layout(root)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, root: Path) -> Iterator[Backend]:
    backend = BACKENDS[request.param](root)
    yield backend
    backend.stores.index.close()
    assert backend.staged() == []


@pytest.fixture
def stores(backend: Backend) -> Stores:
    return backend.stores


@pytest.fixture
def local(root: Path) -> Iterator[Stores]:
    """The local backend alone."""
    backend = local_backend(root)
    yield backend.stores
    backend.stores.index.close()
    assert backend.staged() == []


INDEXES: dict[str, Callable[[Path], Index]] = {
    "memory": lambda path: MemoryIndex(),
    "sqlite": SqliteIndex,
    "sqlite-without-log": lambda path: SqliteIndex(path, write_ahead_log=False),
}


@pytest.fixture(params=INDEXES)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    index = INDEXES[request.param](tmp_path / "index.sqlite3")
    index.prepare()
    yield index
    index.close()
