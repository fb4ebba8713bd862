"""Servers for tests: one that they share, and a factory for those that need their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.live.server import LiveServer


class ServerFactory:
    """Starts servers, each in a directory of its own, and ends them with the test."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self._stack = stack
        self._count = 0

    def new(self, **options: Any) -> LiveServer:
        """A server that was not started."""
        self._count += 1
        directory = self.directory / f"server-{self._count}"
        directory.mkdir()
        return LiveServer(directory, **options)

    def start(self, **options: Any) -> LiveServer:
        """A server that answers; ``options`` are settings, or `LiveServer`'s own."""
        return self._stack.enter_context(self.new(**options))


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[ServerFactory]:
    with ExitStack() as stack:
        yield ServerFactory(tmp_path, stack)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("shared")) as server:
        yield server


@pytest.fixture
def server(shared_server: LiveServer) -> Iterator[LiveServer]:
    """The shared server, with its defaults; what it logs in the meantime is shown on failure."""
    before = len(shared_server.log)
    yield shared_server
    print(shared_server.log[before:])
