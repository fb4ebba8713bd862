"""Large files on the upload page: in pieces, over lost connections, after a reload."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PageOpener
from tests.browser.test_upload import kept_names
from tests.browser.upload_page import UploadPage
from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer, digest, wait_until

SIZE = 3_000_000
PIECE = 1_000_000


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file for several pieces, once the page makes them small."""
    path = tmp_path / "large & é.bin"
    path.write_bytes(os.urandom(SIZE))
    return path


def partials(server: LiveServer) -> list[Path]:
    """What waits for its next piece."""
    return list((server.archive / "private/partial/tus").glob("*/bytes"))


def came(server: LiveServer) -> int:
    """How many bytes of unfinished uploads there are."""
    return sum(path.stat().st_size for path in partials(server))


def discard_all(server: LiveServer) -> None:
    """As expiry does it."""
    for path in partials(server):
        headers = {"Tus-Resumable": "1.0.0"}
        assert server.request("DELETE", f"/tus/{path.parent.name}", b"", headers).status == 204


def open_page(pages: PageOpener, server: LiveServer) -> UploadPage:
    page = pages.open(server)
    page.cut_into_pieces(PIECE)
    return page


def begin(page: UploadPage, path: Path) -> None:
    """Send slowly, until some of it is there."""
    page.throttle(300_000)
    page.pick_paths(path)
    wait_until(lambda: came(page.server) > PIECE, seconds=20, what="the second piece comes")


class TestLostConnections:
    def test_a_large_file_goes_in_pieces(
        self, plain_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = open_page(pages, plain_server)
        sent: list[str] = []
        page.page.on("request", lambda request: sent.append(request.method))
        page.pick_paths(large)
        page.expect_states(kept=1)
        assert sent.count("PATCH") == 3
        assert plain_server.knows(digest(large.read_bytes())) == 200
        assert kept_names(plain_server) == {large.name}

    def test_it_works_below_a_prefix(
        self, servers: ServerFactory, pages: PageOpener, large: Path
    ) -> None:
        server = servers.start(SCRIPT_NAME="/bucket", WEB_CONCURRENCY="1", FSYNC="off")
        page = open_page(pages, server)
        page.pick_paths(large)
        page.expect_states(kept=1)
        assert kept_names(server) == {large.name}

    def test_it_goes_on_when_the_connection_is_back(
        self, plain_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = open_page(pages, plain_server)
        begin(page, large)
        page.page.context.set_offline(True)
        expect(page.row(large.name)).to_contain_text("Waiting for the connection")
        expect(page.page.locator("#summary")).to_have_text("1 waiting for the connection")
        before = came(plain_server)
        page.throttle(-1)
        page.page.context.set_offline(False)
        page.expect_states(kept=1)
        assert before > PIECE
        assert plain_server.knows(digest(large.read_bytes())) == 200

    def test_it_goes_on_when_the_server_is_back(
        self, plain_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = open_page(pages, plain_server)
        begin(page, large)
        plain_server.kill()
        expect(page.row(large.name)).to_contain_text("Waiting for the connection")
        with page.page.expect_request(lambda request: request.method == "HEAD"):
            page.press("Try now", large.name)
        plain_server.start()
        page.throttle(-1)
        page.expect_states(kept=1)
        assert plain_server.knows(digest(large.read_bytes())) == 200

    def test_a_connection_that_died_without_a_word_is_given_up(
        self, plain_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = pages.open(plain_server)
        page.page.clock.install()
        page.open()
        page.cut_into_pieces(PIECE)
        begin(page, large)
        page.throttle(1)
        page.page.clock.fast_forward(61_000)
        expect(page.row(large.name)).to_contain_text("Waiting for the connection")
        page.throttle(-1)
        page.press("Try now", large.name)
        page.expect_states(kept=1)

    def test_a_lost_last_answer_makes_no_second_upload(
        self, plain_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = open_page(pages, plain_server)
        page.lose_answer_to_last_piece()
        page.pick_paths(large)
        page.expect_states(kept=1)
        assert len(list((plain_server.archive / "archive").glob("*/*/*/*"))) == 1

    def test_an_expired_upload_starts_anew(
        self, plain_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = open_page(pages, plain_server)
        begin(page, large)
        page.page.context.set_offline(True)
        expect(page.row(large.name)).to_contain_text("Waiting for the connection")
        discard_all(plain_server)
        page.throttle(-1)
        page.page.context.set_offline(False)
        page.expect_states(kept=1)
        assert plain_server.knows(digest(large.read_bytes())) == 200

    def test_a_file_that_was_changed_is_not_sent_for_ever(
        self, plain_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = open_page(pages, plain_server)
        begin(page, large)
        large.write_bytes(b"changed")
        page.throttle(-1)
        page.expect_states(refused=1)
        expect(page.row(large.name).get_by_role("alert")).to_contain_text("was moved or changed")

    def test_cancelling_forgets_what_came(
        self, plain_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = open_page(pages, plain_server)
        begin(page, large)
        page.press("Cancel", large.name)
        page.expect_states(cancelled=1)
        page.throttle(-1)
        wait_until(lambda: not partials(plain_server), seconds=20, what="it is forgotten")
        page.press("Try again", large.name)
        page.expect_states(kept=1)


class TestReload:
    def test_the_file_is_known_again_and_goes_on(
        self, plain_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = open_page(pages, plain_server)
        begin(page, large)
        page.open()
        page.cut_into_pieces(PIECE)
        notice = page.page.get_by_role("region", name="Unfinished uploads")
        expect(notice).to_contain_text("1 upload was not finished")
        expect(notice).to_contain_text(re.compile(r"[3-9]\d % of 2\.9 MB is here"))
        before = came(plain_server)
        offsets: list[int] = []
        page.page.on(
            "request",
            lambda request: offsets.append(int(request.headers.get("upload-offset", "-1"))),
        )
        page.throttle(-1)
        page.pick_paths(large)
        expect(notice).to_be_hidden()
        page.expect_states(kept=1)
        assert min(offset for offset in offsets if offset >= 0) >= before
        assert plain_server.knows(digest(large.read_bytes())) == 200
        page.open()
        expect(notice).to_be_hidden()

    def test_what_was_begun_can_be_discarded(
        self, plain_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = open_page(pages, plain_server)
        begin(page, large)
        page.open()
        page.press("Discard", large.name)
        expect(page.page.get_by_label("Choose files")).to_be_focused()
        wait_until(lambda: not partials(plain_server), seconds=20, what="it is forgotten")
        page.open()
        expect(page.page.get_by_role("region", name="Unfinished uploads")).to_be_hidden()

    def test_what_expired_meanwhile_is_not_offered(
        self, plain_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = open_page(pages, plain_server)
        begin(page, large)
        page.page.goto("about:blank")
        discard_all(plain_server)
        with page.page.expect_response(lambda answer: answer.status == 404):
            page.open()
        expect(page.page.get_by_role("region", name="Unfinished uploads")).to_be_hidden()
        assert page.page.evaluate("localStorage.length") == 0

    def test_the_fields_are_as_they_were(
        self, template_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = open_page(pages, template_server)
        page.page.get_by_label("Username").fill("bob")
        page.page.get_by_label("Topic").fill("ünï & 1")
        page.throttle(400_000)
        page.pick_paths(large)
        page.page.get_by_role("button", name="Upload 1 file").click()
        wait_until(lambda: came(template_server) > PIECE, seconds=20, what="the second piece comes")
        page.open()
        page.throttle(-1)
        page.cut_into_pieces(PIECE)
        page.pick_paths(large)
        expect(page.row(large.name)).to_contain_text("Begun before")
        expect(page.page.get_by_label("Topic")).to_have_value("ünï & 1")
        page.page.get_by_role("button", name="Upload 1 file").click()
        page.expect_states(kept=1)
        latest = template_server.archive / "replica/user/bob/ünï & 1/large & é.latest.bin"
        assert latest.read_bytes() == large.read_bytes()

    def test_other_fields_start_anew(
        self, template_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = open_page(pages, template_server)
        page.throttle(400_000)
        page.pick_paths(large)
        page.page.get_by_role("button", name="Upload 1 file").click()
        wait_until(lambda: came(template_server) > PIECE, seconds=20, what="the second piece comes")
        page.open()
        page.throttle(-1)
        page.cut_into_pieces(PIECE)
        page.page.get_by_label("Username").fill("eve")
        page.page.get_by_label("Topic").fill("anew")
        page.pick_paths(large)
        page.page.get_by_role("button", name="Upload 1 file").click()
        page.expect_states(kept=1)
        latest = template_server.archive / "replica/user/eve/anew/large & é.latest.bin"
        assert latest.read_bytes() == large.read_bytes()
        assert partials(template_server) == []

    def test_without_room_to_remember_it_works_all_the_same(
        self, plain_server: LiveServer, pages: PageOpener, large: Path
    ) -> None:
        page = pages.open(plain_server)
        page.page.add_init_script(
            """Object.defineProperty(window, "localStorage", {
                get() { throw new DOMException("denied", "SecurityError"); }
            });"""
        )
        page.open()
        page.cut_into_pieces(PIECE)
        page.pick_paths(large)
        page.expect_states(kept=1)
