"""What is kept already is not sent again by the upload page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Request, expect

from tests.browser.conftest import PageOpener
from tests.browser.test_upload import kept_trees
from tests.browser.upload_page import UploadPage
from tests.live.server import LiveServer, digest

CONTENT = os.urandom(1_000_000)

REPORT = {
    "a.txt": b"first",
    "deep/down/b & <b>.txt": b"second",
    "déjà/" + "long/" * 30 + "vu.xml": os.urandom(1000),
    "same.txt": b"first",
}


@pytest.fixture
def sizes() -> list[int]:
    """How many bytes each request of the page had."""
    return []


def listen(page: UploadPage, sizes: list[int]) -> None:
    """Count what the page sends from now on."""

    def hear(request: Request) -> None:
        sizes.append(request.sizes()["requestBodySize"])

    page.page.on("requestfinished", hear)


def test_it_is_an_upload_of_its_own_and_no_byte_of_it_is_sent(
    plain_server: LiveServer, pages: PageOpener, sizes: list[int]
) -> None:
    plain_server.upload(CONTENT, "earlier.bin")
    page = pages.open(plain_server)
    listen(page, sizes)
    page.pick({"later.bin": CONTENT})
    page.expect_told("1 kept (1 without sending)")
    expect(page.row("later.bin")).to_contain_text("Already kept; nothing was sent")
    assert sum(sizes) < 1000
    href = page.row("later.bin").get_by_role("link", name="Open the file").get_attribute("href")
    assert page.page.request.get(href or "").body() == CONTENT
    assert len(list((plain_server.archive / "archive").glob("*/*/*/*"))) == 2


def test_it_gets_its_replicas(template_server: LiveServer, pages: PageOpener) -> None:
    template_server.upload(CONTENT, "earlier.bin")
    page = pages.open(template_server)
    page.pick({"later.bin": CONTENT})
    page.page.get_by_label("Username").fill("kim")
    page.page.get_by_label("Topic").fill("ünï")
    page.page.get_by_role("button", name="Upload 1 file").click()
    page.expect_told("1 kept (1 without sending)")
    latest = template_server.archive / "replica/user/kim/ünï/later.latest.bin"
    assert latest.read_bytes() == CONTENT


def test_a_large_file_is_recognised_before_its_first_piece(
    plain_server: LiveServer, pages: PageOpener, sizes: list[int], tmp_path: Path
) -> None:
    plain_server.upload(CONTENT)
    (tmp_path / "large.bin").write_bytes(CONTENT)
    page = pages.open(plain_server)
    page.cut_into_pieces(100_000)
    listen(page, sizes)
    page.pick_paths(tmp_path / "large.bin")
    page.expect_told("1 kept (1 without sending)")
    assert sum(sizes) < 1000


def test_what_is_new_is_sent_with_its_digest_for_the_server_to_check(
    plain_server: LiveServer, pages: PageOpener
) -> None:
    page = pages.open(plain_server)
    with page.page.expect_request(
        lambda request: request.headers.get("x-checksum-sha256") == digest(CONTENT)
    ):
        page.pick({"new.bin": CONTENT})
    page.expect_states(kept=1)


def test_without_the_browsers_cryptography_it_is_sent(
    plain_server: LiveServer, pages: PageOpener
) -> None:
    plain_server.upload(CONTENT, "earlier.bin")
    page = pages.open(plain_server)
    # On any host but this one, a page over plain HTTP has none.
    page.page.add_init_script('Object.defineProperty(crypto, "subtle", {value: undefined});')
    page.open()
    page.pick({"later.bin": CONTENT})
    page.expect_states(kept=1)


def test_larger_files_are_not_read_beforehand(plain_server: LiveServer, pages: PageOpener) -> None:
    plain_server.upload(CONTENT, "earlier.bin")
    page = pages.open(plain_server)
    page.page.evaluate('document.querySelector("#upload").dataset.digestBytes = 999_999')
    page.pick({"later.bin": CONTENT})
    page.expect_states(kept=1)


class TestDirectories:
    def test_only_the_files_that_are_new_are_sent(
        self, plain_server: LiveServer, pages: PageOpener, sizes: list[int]
    ) -> None:
        plain_server.upload(CONTENT)
        page = pages.open(plain_server)
        listen(page, sizes)
        page.drop_directory("report", REPORT | {"large.bin": CONTENT}, beside={})
        page.expect_states(kept=1)
        expect(page.row("report")).to_contain_text("Kept; 3 of 5 files were sent")
        assert sum(sizes) < 10_000
        assert kept_trees(plain_server, "report") == [REPORT | {"large.bin": CONTENT}]

    def test_nothing_is_sent_of_one_that_is_kept_in_full(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        page.drop_directory("first", REPORT, beside={})
        page.expect_states(kept=1)
        page.drop_directory("second", REPORT, beside={})
        page.expect_told("2 kept (1 without sending)")
        assert kept_trees(plain_server, "second") == [REPORT]

    def test_it_gets_its_replicas(self, template_server: LiveServer, pages: PageOpener) -> None:
        page = pages.open(template_server)
        page.drop_directory("tree", REPORT, beside={})
        page.page.get_by_label("Username").fill("dir")
        page.page.get_by_label("Topic").fill("ünï & 1")
        page.page.get_by_role("button", name="Upload 1 file").click()
        page.expect_states(kept=1)
        latest = template_server.archive / "replica/user/dir/ünï & 1/tree.latest"
        assert (latest / "a.txt").read_bytes() == b"first"
