"""A real server for the lines that the documentation shows."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT
from tests.live.server import SERVE, SOURCE, LiveServer

StartServer = Callable[..., LiveServer]


def fetch(url: str) -> bytes:
    """The body of what the address answers. Raises urllib's errors."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        body: bytes = answer.read()
    return body


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers with variables beside the usual ones, and stops them at the end."""
    with ExitStack() as stack:

        def start(
            *, script: Sequence[str] = SERVE[1:], source: Path = SOURCE, **settings: Any
        ) -> LiveServer:
            settings.setdefault("WEB_CONCURRENCY", "1")
            server = LiveServer(
                tmp_path,
                command=[sys.executable, *script],
                source=source,
                workplace=ROOT,
                **settings,
            )
            return stack.enter_context(server)

        yield start


@pytest.fixture
def server(start_server: StartServer) -> LiveServer:
    """A server with the defaults, and the template that the README names."""
    return start_server(REPLICATE_0="user/${USERNAME}/${TOPIC}")
