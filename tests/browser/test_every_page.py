"""Our pages, walked through as people do: they work without JavaScript, and within their policy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import GUARD_MILLISECONDS
from tests.browser.reports import packed
from tests.content.test_junit import REPORT
from tests.live.server import LiveServer

MEMBERS = {
    "a.log": b"first line\n\x1b[31mred line\x1b[0m\n",
    "junit.xml": REPORT,
    "picture.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"/>',
    "sub/x.txt": b"x",
}


@pytest.fixture(params=[True, False], ids=["with", "without"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page with and without JavaScript; what the browser had to refuse fails the test."""
    context = browser.new_context(java_script_enabled=request.param)
    context.set_default_timeout(GUARD_MILLISECONDS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    # The browser itself tells of every answer that is a refusal.
    assert [text for text in complaints if "the server responded with" not in text] == []


def test_an_upload_is_found_and_walked_through(plain_server: LiveServer, page: Page) -> None:
    plain_server.upload(b"other", "other.txt")
    plain_server.upload(packed(MEMBERS), "results.tgz")
    page.goto(f"{plain_server.url}/")
    page.get_by_label("Name").fill("RESULTS")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", name="Uploads that fit")).to_be_visible()
    expect(page.get_by_role("link", name="other.txt")).to_have_count(0)
    page.get_by_role("link", name="Clear").click()
    expect(page.get_by_role("link", name="other.txt")).to_be_visible()
    page.get_by_role("link", name="results.tgz").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("results.tgz")
    page.get_by_role("link", name="Browse 4 files").click()
    page.get_by_role("link", name="sub/").click()
    expect(page.get_by_role("link", name="x.txt", exact=True)).to_be_visible()
    page.get_by_role("navigation", name="Path").get_by_role("link", name="results").click()
    page.get_by_role("button", name="View a.log").click()
    expect(page.get_by_text("red line")).to_have_class("ink1")
    page.get_by_role("link", name="2", exact=True).click()
    assert page.url.endswith("#L2")
    page.get_by_role("link", name="Open the file").click()
    expect(page.get_by_text("first line")).to_be_visible()


def test_every_kind_of_view_is_shown(plain_server: LiveServer, page: Page) -> None:
    receipt = plain_server.upload(packed(MEMBERS), "results.tgz")
    tree = f"{plain_server.url}/{receipt['path']['archive']}/"
    page.goto(f"{tree}junit.xml?view")
    expect(page.get_by_text("1 failed")).to_be_visible()
    page.get_by_role("link", name="As text").click()
    expect(page.get_by_text("<testsuites>")).to_be_visible()
    page.goto(f"{tree}picture.svg?view")
    expect(page.get_by_role("img", name="picture.svg")).to_have_js_property("naturalWidth", 20)


def test_a_zip_is_downloaded_from_a_directory(plain_server: LiveServer, page: Page) -> None:
    receipt = plain_server.upload(packed(MEMBERS), "results.tgz")
    page.goto(f"{plain_server.url}/{receipt['path']['archive']}/")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as zip").click()
    assert download.value.suggested_filename == "results.zip"
    assert download.value.path().read_bytes()[:2] == b"PK"


def test_a_refusal_is_a_page_that_leads_on(plain_server: LiveServer, page: Page) -> None:
    page.goto(f"{plain_server.url}/archive/none")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    page.get_by_role("link", name="Upload a file").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Upload")
