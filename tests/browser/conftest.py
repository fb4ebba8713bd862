"""A real Chromium for the pages, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.upload_page import UploadPage
from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer
from tests.tools import require_tool

#: As root in a container there is no sandbox, and nothing but our server is to be asked.
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

#: A guard only: far beyond what a loaded machine takes.
GUARD_MILLISECONDS = 20_000

TEMPLATE = "user/${USERNAME}/${TOPIC}"
LIMIT = 4 * 1024**2


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = require_tool("chromium")
    expect.set_options(timeout=GUARD_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def template_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    directory = tmp_path_factory.mktemp("templates")
    with _server(directory, REPLICATE_0=TEMPLATE) as server:
        yield server


@pytest.fixture
def plain_server(tmp_path: Path) -> Iterator[LiveServer]:
    with _server(tmp_path) as server:
        yield server


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[ServerFactory]:
    with ExitStack() as stack:
        yield ServerFactory(tmp_path, stack)


@pytest.fixture
def pages(browser: Browser) -> Iterator[PageOpener]:
    with ExitStack() as stack:
        yield PageOpener(browser, stack)


class PageOpener:
    """Opens upload pages; what one of them says of an error fails the test."""

    def __init__(self, browser: Browser, stack: ExitStack) -> None:
        self._browser = browser
        self._stack = stack

    def open(self, server: LiveServer, *, javascript: bool = True) -> UploadPage:
        """The upload page of a server, in a profile of its own."""
        context = self._browser.new_context(java_script_enabled=javascript)
        self._stack.callback(context.close)
        context.set_default_timeout(GUARD_MILLISECONDS)
        page = UploadPage(context.new_page(), server)
        self._stack.callback(page.assert_no_mistakes)
        page.open()
        return page


def _server(directory: Path, **settings: Any) -> LiveServer:
    return LiveServer(
        directory, MAX_CONTENT_LENGTH=str(LIMIT), WEB_CONCURRENCY="1", FSYNC="off", **settings
    )
