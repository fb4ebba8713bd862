"""The pages of what is kept in a real browser: order, size, keyboard, and a narrow screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PageOpener
from tests.builders import tar, tar_member
from tests.live.server import LiveServer

LONG = "a_name_without_any_space_" * 3
MEMBERS = {
    "report/small.txt": b"s",
    "report/large.log": b"\x1b[31mred\x1b[0m\n" * 200,
    f"report/{LONG}.json": b'{"a": [1, 2]}',
    "report/README.md": b"# " + b"word" * 100,
    "report/index.html": b"<h1>Report</h1>",
}
JUNIT = b"""<testsuite><testcase classname="%s" name="test_%s" time="1.5"><failure
message="%s">%s</failure></testcase></testsuite>""" % (4 * (b"x" * 60,))


@pytest.fixture
def upload(template_server: LiveServer) -> dict[str, str]:
    """The addresses of an upload's page and of its tree's first directory."""
    members = (tar_member(name, content) for name, content in MEMBERS.items())
    receipt = template_server.upload(tar(*members), f"{LONG}{LONG}.tar", Username="bob", Topic=LONG)
    return {
        "page": f"{template_server.url}/uploads/{receipt['upload']['id']}",
        "directory": f"{template_server.url}/{receipt['path']['archive']}/report/",
    }


def names(page: Page) -> list[str]:
    return page.locator("tbody td:first-child > a").all_inner_texts()


def test_the_heads_of_columns_sort_without_javascript(
    template_server: LiveServer, pages: PageOpener, upload: dict[str, str]
) -> None:
    page = pages.open(template_server, javascript=False).page
    page.goto(upload["page"])
    page.get_by_role("link", name="Browse 5 files").click()
    expect(page).to_have_url(upload["directory"])
    page.get_by_role("button", name="Size").click()
    assert names(page)[0] == "large.log"
    head = page.get_by_role("columnheader", name="Size")
    expect(head).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Size").press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert names(page)[-1] == "large.log"
    page.get_by_role("button", name="View large.log").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("large.log")


def test_the_first_key_leads_past_the_navigation(
    template_server: LiveServer, pages: PageOpener, upload: dict[str, str]
) -> None:
    page = pages.open(template_server).page
    page.goto(upload["page"])
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    skip.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Open the report")).to_be_focused()


def test_no_page_is_wider_than_a_phone(
    template_server: LiveServer, pages: PageOpener, upload: dict[str, str]
) -> None:
    receipt = template_server.upload(JUNIT, "junit.xml")
    url, directory = template_server.url, upload["directory"]
    shown = [
        *(f"{url}/", f"{url}/?name=a", f"{url}/upload", f"{url}/archive/{LONG}"),
        *(upload["page"], directory, f"{directory}?sort=-size", f"{url}/replica/user/bob/{LONG}/"),
        *(f"{directory}large.log?view", f"{directory}{LONG}.json?view"),
        f"{url}/{receipt['path']['upload']}/junit.xml?view",
    ]
    page = pages.open(template_server).page
    page.set_viewport_size({"width": 390, "height": 800})
    too_wide = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
    for address in shown:
        page.goto(address)
        assert not page.evaluate(too_wide), address


def test_a_directory_of_20_000_files_is_shown_before_long(
    plain_server: LiveServer, pages: PageOpener
) -> None:
    directory = plain_server.archive / "archive/2026/many"
    directory.mkdir(parents=True)
    for number in range(20_000):
        (directory / f"{number:05}.txt").touch()
    # A table of buttons that each name their form takes Chromium a minute.
    page = pages.open(plain_server).page
    page.goto(f"{plain_server.url}/archive/2026/many/")
    expect(page.get_by_role("link", name="19999.txt", exact=True)).to_be_visible()
    assert page.locator("tbody tr").count() == 20_000
