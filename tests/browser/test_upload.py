"""The upload page in a real browser: files in, progress, refusals, and no JavaScript."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import LIMIT, PageOpener
from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer, digest, wait_until

THREE = {"a.txt": b"first", "b & <b>.txt": b"second", "c.bin": bytes(range(256)) * 40}


def kept_names(server: LiveServer) -> set[str]:
    """The names of the files that lie in the archive, without records and manifests."""
    paths = (server.archive / "archive").rglob("*")
    return {path.name for path in paths if path.is_file() and not path.name.startswith(".")}


REPORT = {"a.txt": b"first", "deep/down/b & <b>.txt": b"second", "déjà.xml": b"third"}


def kept_trees(server: LiveServer, name: str) -> list[dict[str, bytes]]:
    """The files of every tree of this name, by path."""
    roots = (server.archive / "archive").glob(f"*/*/*/*/{name}")
    return [
        {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }
        for root in roots
    ]


class TestDirectories:
    def test_a_picked_one_is_one_upload(
        self, plain_server: LiveServer, pages: PageOpener, tmp_path: Path
    ) -> None:
        for path, content in REPORT.items():
            (tmp_path / "picked" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "picked" / path).write_bytes(content)
        (tmp_path / "picked" / "empty").mkdir()
        page = pages.open(plain_server)
        page.page.get_by_label("Choose a directory").set_input_files(tmp_path / "picked")
        page.expect_states(kept=1)
        assert kept_trees(plain_server, "picked") == [REPORT]
        row = page.row("picked")
        expect(row).to_contain_text("3 files, 16 B")
        expect(row.get_by_role("button", name="Copy SHA-256")).to_be_hidden()
        row.get_by_role("link", name="Browse").click()
        expect(page.page.get_by_text("déjà.xml")).to_be_visible()

    def test_a_dropped_one_is_one_upload_and_the_files_beside_it_are_kept(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        page.drop_directory("dropped", REPORT, beside={"beside.txt": b"beside"})
        page.expect_states(kept=2)
        assert kept_trees(plain_server, "dropped") == [REPORT]
        assert "beside.txt" in kept_names(plain_server)

    def test_one_without_files_is_refused(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        page.drop_directory("empty", {}, beside={})
        page.expect_states(refused=1)
        expect(page.row("empty").get_by_role("alert")).to_contain_text("holds no files")

    def test_one_over_the_limit_is_refused_before_it_is_sent(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        half = bytes(LIMIT // 2 + 1)
        page.drop_directory("large", {"a": half, "b": half}, beside={})
        page.expect_states(refused=1)
        assert kept_trees(plain_server, "large") == []

    def test_it_can_be_cancelled_and_tried_again(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        page.throttle(20_000)
        page.drop_directory("slow", REPORT | {"big": bytes(LIMIT // 2)}, beside={})
        page.press("Cancel", "slow")
        page.expect_states(cancelled=1)
        page.throttle(-1)
        page.press("Try again", "slow")
        page.expect_states(kept=1)
        assert len(kept_trees(plain_server, "slow")) == 1


class TestSeveralFiles:
    def test_picked_ones_are_kept_at_once_where_nothing_is_to_decide(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        page.pick(THREE)
        page.expect_states(kept=3)
        assert kept_names(plain_server) == set(THREE)
        assert [plain_server.knows(digest(content)) for content in THREE.values()] == [200] * 3

    def test_dropped_ones_are_kept(self, plain_server: LiveServer, pages: PageOpener) -> None:
        page = pages.open(plain_server)
        page.drop(THREE)
        page.expect_states(kept=3)
        page.drop({"d.txt": b"one more"})
        page.expect_states(kept=4)
        assert kept_names(plain_server) == {*THREE, "d.txt"}

    def test_links_lead_to_the_upload_and_to_the_bytes(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        page.pick({"50% & <b>#?.txt": b"odd name"})
        row = page.row("50% & <b>#?.txt")
        href = row.get_by_role("link", name="Open the file").get_attribute("href") or ""
        assert page.page.request.get(href).body() == b"odd name"
        row.get_by_role("link", name="50% & <b>#?.txt").click()
        expect(page.page.get_by_role("heading", level=1)).to_have_text("50% & <b>#?.txt")

    def test_link_and_digest_can_be_copied(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.pick({"a.txt": b"first"})
        page.press("Copy SHA-256", "a.txt")
        copied = "() => navigator.clipboard.readText()"
        wait_until(
            lambda: page.page.evaluate(copied) == digest(b"first"), seconds=10, what="it is copied"
        )
        page.press("Copy link", "a.txt")
        address = page.row("a.txt").get_by_role("link", name="a.txt").get_attribute("href")
        wait_until(lambda: page.page.evaluate(copied) == address, seconds=10, what="it is copied")

    def test_copying_works_over_plain_http_too(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        # On any host but this one, a page over plain HTTP has no such interface.
        page.page.evaluate(
            """() => {
                window.clipboard = navigator.clipboard;
                Object.defineProperty(navigator, "clipboard", {value: undefined});
            }"""
        )
        page.pick({"a.txt": b"first"})
        page.press("Copy SHA-256", "a.txt")
        copied = "() => window.clipboard.readText()"
        wait_until(
            lambda: page.page.evaluate(copied) == digest(b"first"), seconds=10, what="it is copied"
        )

    def test_it_works_below_a_prefix(self, servers: ServerFactory, pages: PageOpener) -> None:
        server = servers.start(SCRIPT_NAME="/bucket", WEB_CONCURRENCY="1", FSYNC="off")
        page = pages.open(server)
        page.pick({"a.txt": b"first"})
        row = page.row("a.txt")
        href = row.get_by_role("link", name="Open the file").get_attribute("href") or ""
        assert href.startswith(f"{server.url}/archive/")
        assert page.page.request.get(href).body() == b"first"
        row.get_by_role("link", name="a.txt").click()
        expect(page.page.get_by_role("heading", level=1)).to_have_text("a.txt")


class TestProgress:
    def test_it_has_speed_and_time_left_and_two_files_go_at_a_time(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        page.throttle(100_000)
        page.pick({name: name.encode() * 250_000 for name in ("aa", "bb", "cc")})
        pace = re.compile(r"^[\d.]+ kB of 488\.3 kB · [\d.]+ kB/s · \d+ s left$")
        expect(page.row("aa").get_by_text(pace)).to_be_visible()
        expect(page.row("bb").get_by_text(pace)).to_be_visible()
        expect(page.row("cc").get_by_text("Waits for its turn")).to_be_visible()
        bar = page.page.get_by_role("progressbar", name="Upload of aa")
        assert 0 < float(bar.get_attribute("value") or 0) < 1
        page.throttle(-1)
        page.expect_states(kept=3)

    def test_a_cancelled_upload_leaves_nothing_and_can_be_sent_again(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        page.throttle(100_000)
        page.pick({"long.bin": bytes(2_000_000), "short.txt": b"short"})
        wait_until(plain_server.is_receiving, seconds=10, what="the first bytes are there")
        page.press("Cancel", "long.bin")
        expect(page.page.get_by_role("button", name="Try again: long.bin")).to_be_focused()
        page.expect_states(kept=1, cancelled=1)
        plain_server.wait_for_empty_staging()
        assert kept_names(plain_server) == {"short.txt"}
        assert plain_server.knows(digest(bytes(2_000_000))) == 404
        page.throttle(-1)
        page.press("Try again", "long.bin")
        page.expect_states(kept=2)

    def test_cancelling_makes_room_for_the_next(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        page.throttle(100_000)
        page.pick({"a.bin": bytes(2_000_000), "b.bin": bytes(2_000_001), "c.txt": b"third"})
        expect(page.row("c.txt").get_by_text("Waits for its turn")).to_be_visible()
        page.press("Cancel", "a.bin")
        expect(page.row("c.txt").get_by_text("Kept")).to_be_visible()
        page.press("Cancel", "b.bin")
        page.expect_states(kept=1, cancelled=2)
        plain_server.wait_for_empty_staging()


class TestRefusals:
    def test_the_servers_sentence_is_shown_and_a_lost_connection_is_told(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        plain_server.stop()
        page.pick({"a.bin": bytes(3000)})
        page.expect_states(refused=1)
        expect(page.row("a.bin").get_by_role("alert")).to_contain_text("The connection broke")
        plain_server.settings["MAX_CONTENT_LENGTH"] = "2000"
        plain_server.start()
        page.press("Try again", "a.bin")
        sentence = "The upload is larger than 2000 bytes"
        expect(page.row("a.bin").get_by_role("alert")).to_contain_text(sentence)
        plain_server.stop()
        plain_server.settings["MAX_CONTENT_LENGTH"] = "3000"
        plain_server.start()
        page.press("Try again", "a.bin")
        page.expect_states(kept=1)
        expect(page.row("a.bin").get_by_role("alert")).to_have_count(0)

    def test_a_file_over_the_limit_is_not_even_sent(
        self, plain_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(plain_server)
        page.pick({"big.bin": bytes(LIMIT + 1), "fits.bin": bytes(LIMIT)})
        page.expect_states(kept=1, refused=1)
        alert = page.row("big.bin").get_by_role("alert")
        expect(alert).to_contain_text(f"The upload is larger than {LIMIT} bytes")
        page.press("Remove", "big.bin")
        page.expect_states(kept=1)


class TestTemplates:
    def test_filled_fields_make_a_replica(
        self, template_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(template_server)
        page.pick({"a.txt": b"first", "b.txt": b"second"})
        page.page.get_by_label("Username").fill("bob")
        expect(page.page.get_by_text("needs Topic")).to_be_visible()
        page.page.get_by_label("Topic").fill("ünï & 1")
        expect(page.page.get_by_text("replica/user/bob/ünï & 1/")).to_be_visible()
        page.page.get_by_role("button", name="Upload 2 files").click()
        page.expect_states(kept=2)
        link = page.row("a.txt").get_by_role("link", name="replica/user/bob/ünï & 1/a.")
        assert page.page.request.get(link.get_attribute("href") or "").body() == b"first"
        latest = template_server.archive / "replica/user/bob/ünï & 1/b.latest.txt"
        assert latest.read_bytes() == b"second"

    def test_enter_in_a_field_uploads_and_chosen_files_can_be_removed(
        self, template_server: LiveServer, pages: PageOpener
    ) -> None:
        page = pages.open(template_server)
        page.drop({"kept-one.txt": b"first", "removed-one.txt": b"second"})
        page.press("Remove", "removed-one.txt")
        page.page.get_by_label("Username").press("Enter")
        page.expect_states(kept=1)
        names = kept_names(template_server)
        assert ("kept-one.txt" in names, "removed-one.txt" in names) == (True, False)


def test_without_javascript_the_form_leads_to_the_uploads_page(
    template_server: LiveServer, pages: PageOpener
) -> None:
    page = pages.open(template_server, javascript=False).page
    page.get_by_label("File", exact=True).set_input_files(
        {"name": "plain.txt", "mimeType": "text/plain", "buffer": b"plain"}
    )
    page.get_by_label("Username").fill("eve")
    page.get_by_label("Topic").fill("demo")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("plain.txt")
    expect(page.get_by_role("link", name="replica/user/eve/demo/plain.")).to_be_visible()
    latest = template_server.archive / "replica/user/eve/demo/plain.latest.txt"
    assert latest.read_bytes() == b"plain"
