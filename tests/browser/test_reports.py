"""Uploaded pages in a real browser: they work, and never act as us."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import GUARD_MILLISECONDS
from tests.browser.reports import coverage_report, packed, trace_like_report
from tests.browser.test_upload import kept_names
from tests.live.server import LiveServer, free_port

NewPage = Callable[[LiveServer], Page]

SCRIPT = "<script>document.title = 'ran ' + self.origin</script>"
DISGUISED = {
    "page.html": f"<!doctype html><title>a</title>{SCRIPT}",
    "x.txt": f"<!doctype html><html><title>a</title>{SCRIPT}</html>",
    "without-suffix": f"<!doctype html><html><title>a</title>{SCRIPT}</html>",
    "image.png": f"<!doctype html><html><title>a</title>{SCRIPT}</html>",
    "drawing.svg": (
        '<svg xmlns="http://www.w3.org/2000/svg"><title>a</title>'
        "<script>document.documentElement.setAttribute('id', 'ran ' + self.origin)</script></svg>"
    ),
    "page.xml": (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>a</title>'
        f"{SCRIPT}</head><body/></html>"
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with _server(tmp_path_factory.mktemp("reports")) as server:
        yield server


@pytest.fixture(scope="module")
def closed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One with ``CONTENT_CORS=off``."""
    with _server(tmp_path_factory.mktemp("closed"), CONTENT_CORS="off") as server:
        yield server


@pytest.fixture(scope="module")
def split_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One whose kept files have an origin of their own: the same machine by another name."""
    port = str(free_port())
    settings = {
        "PORT": port,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "CONTENT_ORIGIN": f"http://localhost:{port}",
    }
    with _server(tmp_path_factory.mktemp("split"), **settings) as server:
        yield server


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return coverage_report(tmp_path_factory.mktemp("coverage"))


@pytest.fixture
def new_page(browser: Browser) -> Iterator[NewPage]:
    """Opens the first page of a server in a profile of its own, which holds a cookie for it."""
    with ExitStack() as stack:

        def new(server: LiveServer) -> Page:
            context = _context(browser, server)
            stack.callback(context.close)
            page = context.new_page()
            page.goto(f"{server.url}/")
            return page

        yield new


class TestCoverageReport:
    @pytest.mark.parametrize("name", ["server", "closed_server", "split_server"])
    def test_it_is_found_through_our_pages_and_its_scripts_run(
        self, request: pytest.FixtureRequest, name: str, report: bytes, new_page: NewPage
    ) -> None:
        server: LiveServer = request.getfixturevalue(name)
        server.upload(report, "coverage.tgz")
        page = new_page(server)
        page.get_by_role("link", name="coverage.tgz").click()
        page.get_by_role("link", name="Browse").click()
        # Straight into the only directory of the archive file.
        expect(page.get_by_role("link", name="measured_py.html")).to_be_visible()
        page.get_by_role("link", name="Open the report").click()
        expect(page.get_by_role("heading", name="Coverage report")).to_be_visible()
        page.get_by_role("link", name="measured.py").click()
        line = page.locator("#source p.run").first
        expect(line).not_to_have_class("run show_run")
        # A key of the report: it marks the lines that ran.
        page.keyboard.press("r")
        expect(line).to_have_class("run show_run")
        page.keyboard.press("u")
        expect(page.get_by_role("heading", name="Coverage report")).to_be_visible()
        assert page.evaluate("self.origin") == "null"


class TestTraceLikeReport:
    def test_its_scripts_read_its_own_files_and_nothing_of_ours(
        self, server: LiveServer, new_page: NewPage
    ) -> None:
        outcomes = _outcomes(server, new_page(server))
        for works, outcome in WORKS.items():
            assert outcomes.pop(works) == outcome
        assert outcomes == REFUSED
        assert "evil.txt" not in kept_names(server)

    def test_without_cors_it_cannot_read_its_own_files_by_script_either(
        self, closed_server: LiveServer, new_page: NewPage
    ) -> None:
        outcomes = _outcomes(closed_server, new_page(closed_server))
        assert (outcomes.pop("data"), outcomes.pop("range")) == ("TypeError", "TypeError")
        assert outcomes.pop("blob worker") == "42"
        assert outcomes == REFUSED
        assert "evil.txt" not in kept_names(closed_server)

    def test_in_the_origin_of_contents_there_is_nothing_of_ours(
        self, split_server: LiveServer, new_page: NewPage
    ) -> None:
        page = new_page(split_server)
        outcomes = _outcomes(split_server, page)
        assert page.url.startswith(split_server.settings["CONTENT_ORIGIN"])
        for works, outcome in WORKS.items():
            assert outcomes.pop(works) == outcome
        assert outcomes == REFUSED
        assert "evil.txt" not in kept_names(split_server)

    def test_its_links_modules_and_frames_work(self, server: LiveServer, new_page: NewPage) -> None:
        page = new_page(server)
        page.goto(_index_of(server))
        expect(page).to_have_title("the module ran")
        expect(page.frame_locator("iframe").get_by_text("a snapshot")).to_be_visible()
        page.get_by_role("link", name="Next").click()
        expect(page).to_have_title("next")
        page.get_by_role("link", name="Back").click()
        expect(page).to_have_title("the module ran")

    def test_one_of_our_pages_that_opened_it_is_out_of_its_reach(
        self, server: LiveServer, new_page: NewPage
    ) -> None:
        page = new_page(server)
        with page.expect_popup() as opened:
            page.evaluate("address => { window.open(address); }", _index_of(server))
        expect(opened.value.get_by_text("opener: SecurityError")).to_be_visible()


@pytest.mark.parametrize("name", DISGUISED)
@pytest.mark.parametrize("cors", ["server", "closed_server"])
def test_a_script_in_any_kind_of_file_runs_in_an_origin_that_is_nobodys(
    request: pytest.FixtureRequest, cors: str, name: str, new_page: NewPage
) -> None:
    server: LiveServer = request.getfixturevalue(cors)
    receipt = server.upload(DISGUISED[name].encode(), name)
    page = new_page(server)
    for path in (f"{receipt['path']['upload']}/{name}", receipt["path"]["blob"]):
        page.goto(f"{server.url}/{path}")
        assert page.evaluate("self.origin") == "null"
        told = page.evaluate("document.title + document.documentElement.id")
        assert told.endswith("ran null") or "ran" not in told
        with pytest.raises(Exception, match="sandboxed"):
            page.evaluate("document.cookie")


def test_a_page_may_be_framed_by_a_report_but_ours_may_not(
    server: LiveServer, new_page: NewPage
) -> None:
    frame = '<iframe src="/upload"></iframe>'
    receipt = server.upload(packed({"index.html": frame.encode(), "a": b"a"}), "frame.tgz")
    page = new_page(server)
    page.goto(f"{server.url}/{receipt['path']['archive']}/index.html")
    expect(page.frame_locator("iframe").get_by_role("button", name="Upload")).to_have_count(0)
    assert page.frames[1].url == "chrome-error://chromewebdata/"


def test_images_from_the_origin_of_contents_are_shown_on_our_pages(
    split_server: LiveServer, new_page: NewPage
) -> None:
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"/>'
    receipt = split_server.upload(drawing.encode(), "drawing.svg")
    page = new_page(split_server)
    page.goto(f"{split_server.url}/{receipt['path']['upload']}/drawing.svg?view")
    image = page.get_by_role("img", name="drawing.svg")
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 20
    assert (image.get_attribute("src") or "").startswith("http://localhost:")


def test_the_upload_page_links_files_in_the_origin_of_contents(
    split_server: LiveServer, new_page: NewPage
) -> None:
    page = new_page(split_server)
    page.goto(f"{split_server.url}/upload")
    page.get_by_label("Choose files").set_input_files(
        {"name": "a b.txt", "mimeType": "text/plain", "buffer": b"first"}
    )
    page.get_by_role("link", name="Open the file").click()
    expect(page.get_by_text("first")).to_be_visible()
    assert page.url.startswith("http://localhost:")


WORKS = {"data": "42", "range": "206 PK", "blob worker": "42"}
REFUSED = {
    "origin": "null",
    "cookie": "SecurityError",
    "localStorage": "SecurityError",
    **dict.fromkeys(
        (
            *("fetch /config", "fetch /uploads", "fetch /upload", "fetch /", "fetch /archive/"),
            *("fetch ./", "fetch ./?json", "fetch ./?zip", "fetch ./SHA256SUMS"),
            *("fetch ./index.html?view", "post", "tus"),
        ),
        "TypeError",
    ),
    # Sent, and refused by the server; the page sees nothing of the answer.
    "blind post": "opaque",
    "opener": "TypeError",
    "parent": "alone",
    "popup": "SecurityError",
    "end": "",
}


def _outcomes(server: LiveServer, page: Page) -> dict[str, str]:
    """What came of everything that the report tried, by name."""
    page.goto(_index_of(server))
    expect(page.get_by_text("end:")).to_be_visible()
    lines = page.locator("#outcomes p").all_text_contents()
    return dict(_named(line) for line in lines)


def _named(line: str) -> tuple[str, str]:
    name, _, outcome = line.partition(": ")
    return name, outcome


def _index_of(server: LiveServer) -> str:
    """The address of a trace-like report's page, where our pages would link it."""
    receipt = server.upload(trace_like_report(), "trace.zip")
    origin = server.settings.get("CONTENT_ORIGIN", server.url)
    return f"{origin}/{receipt['path']['archive']}/index.html"


def _context(browser: Browser, server: LiveServer) -> BrowserContext:
    context = browser.new_context()
    context.set_default_timeout(GUARD_MILLISECONDS)
    context.add_cookies([{"name": "session", "value": "secret", "url": server.url}])
    return context


def _server(directory: Path, **settings: Any) -> LiveServer:
    return LiveServer(directory, WEB_CONCURRENCY="1", FSYNC="off", **settings)
