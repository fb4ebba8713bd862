"""tus-js-client in a browser, unmodified, on a page of ours."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import PageOpener
from tests.live.server import LiveServer, digest, wait_until
from tests.tus_js import require_tus_js

SIZE = 3_000_000

#: Begins an upload of what was picked, or goes on with it; the page's title says what came of it.
_START = """() => {
    const upload = window.upload = new tus.Upload(window.picked, {
        endpoint: new URL("tus/", location).href,
        chunkSize: 1_000_000,
        retryDelays: [100, 200, 400, 800, 1600, 3200],
        metadata: {filename: window.picked.name},
        onSuccess: () => document.title = "kept",
        onError: error => document.title = String(error),
    });
    return upload.findPreviousUploads().then(previous => {
        if (previous.length > 0) upload.resumeFromPreviousUpload(previous[0]);
        upload.start();
        return previous.length;
    });
}"""

#: Takes what is picked from our own script.
_TAKE = """() => document.querySelector("#file").addEventListener("change", event => {
    event.stopImmediatePropagation();
    window.picked = event.target.files[0];
}, {capture: true})"""


def test_it_goes_on_after_a_reload(
    plain_server: LiveServer, pages: PageOpener, tmp_path: Path
) -> None:
    content = os.urandom(SIZE)
    path = tmp_path / "large é.bin"
    path.write_bytes(content)
    client = (require_tus_js() / "dist" / "tus.min.js").read_text()
    page = pages.open(plain_server)

    def start() -> int:
        page.page.evaluate(_TAKE)
        page.pick_paths(path)
        page.page.evaluate(f"() => {{{client}\n}}")
        return int(page.page.evaluate(_START))

    page.throttle(300_000)
    assert start() == 0
    partial = plain_server.archive / "private" / "partial" / "tus"
    wait_until(
        lambda: any(path.stat().st_size > 1_000_000 for path in partial.glob("*/bytes")),
        seconds=20,
        what="the second piece comes",
    )
    page.open()
    page.throttle(-1)
    assert start() == 1
    expect(page.page).to_have_title("kept")
    assert plain_server.knows(digest(content)) == 200
