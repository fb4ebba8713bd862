"""The upload page as its users see it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.live.server import LiveServer

#: Runs in the page: a drop of files, as a browser makes it of what is dragged from elsewhere.
_DROP = """files => {
    const transfer = new DataTransfer();
    for (const [name, content] of Object.entries(files)) {
        const bytes = Uint8Array.from(atob(content), sign => sign.charCodeAt(0));
        transfer.items.add(new File([bytes], name));
    }
    for (const kind of ["dragenter", "dragover", "drop"]) {
        const options = {dataTransfer: transfer, bubbles: true, cancelable: true};
        document.body.dispatchEvent(new DragEvent(kind, options));
    }
}"""


#: The same of a directory, which scripts cannot drag: its entry is made up, in pieces of two.
_DROP_DIRECTORY = """([name, files, beside]) => {
    const file = (path, content) => new File(
        [Uint8Array.from(atob(content), sign => sign.charCodeAt(0))], path.split("/").at(-1));
    const directory = (name, files) => ({
        name, isDirectory: true, createReader: () => {
            const inner = new Map();
            for (const [path, content] of Object.entries(files)) {
                const [first, ...rest] = path.split("/");
                if (rest.length === 0) {
                    inner.set(first, {name: first, file: (done) => done(file(path, content))});
                } else {
                    const below = inner.get(first)?.files ?? {};
                    below[rest.join("/")] = content;
                    inner.set(first, {...directory(first, below), files: below});
                }
            }
            const entries = [...inner.values()];
            return {readEntries: (done) => setTimeout(() => done(entries.splice(0, 2)))};
        },
    });
    const items = Object.entries(beside).map(([name, content]) => ({
        kind: "file", webkitGetAsEntry: () => ({name}), getAsFile: () => file(name, content)}));
    items.push({kind: "file", webkitGetAsEntry: () => directory(name, files)});
    const event = new Event("drop", {bubbles: true, cancelable: true});
    event.dataTransfer = {types: ["Files"], items};
    document.body.dispatchEvent(event);
}"""


class UploadPage:
    """One tab with the upload page of a server."""

    def __init__(self, page: Page, server: LiveServer) -> None:
        self.page = page
        self.server = server
        # What one session has set, another cannot undo.
        self._devtools = page.context.new_cdp_session(page)
        self._devtools.send("Network.enable")
        self._mistakes: list[str] = []
        page.on("pageerror", lambda error: self._mistakes.append(str(error)))
        page.on("console", lambda message: self._hear(message.type, message.text))

    def open(self) -> None:
        self.page.goto(f"{self.server.url}/upload")

    def pick(self, files: Mapping[str, bytes]) -> None:
        """Choose files in the picker."""
        payloads: list[FilePayload] = [
            {"name": name, "mimeType": "application/octet-stream", "buffer": content}
            for name, content in files.items()
        ]
        self.page.get_by_label("Choose files").set_input_files(payloads)

    def drop(self, files: Mapping[str, bytes]) -> None:
        """Drop files on the page."""
        self.page.evaluate(_DROP, _encoded(files))

    def drop_directory(
        self, name: str, files: Mapping[str, bytes], *, beside: Mapping[str, bytes]
    ) -> None:
        """Drop a directory, and files beside it."""
        self.page.evaluate(_DROP_DIRECTORY, [name, _encoded(files), _encoded(beside)])

    def throttle(self, bytes_per_second: int) -> None:
        """Make sending slow; -1 makes it fast again."""
        conditions = {"offline": False, "latency": 0, "downloadThroughput": -1}
        self._devtools.send(
            "Network.emulateNetworkConditions",
            {**conditions, "uploadThroughput": bytes_per_second},
        )

    def row(self, name: str) -> Locator:
        """What the page says of a file."""
        exactly = self.page.get_by_text(name, exact=True)
        return self.page.locator(".rows > li").filter(has=exactly)

    def press(self, label: str, name: str) -> None:
        """Press a button of a file, by the name that a screen reader says."""
        self.page.get_by_role("button", name=f"{label}: {name}", exact=True).click()

    def expect_states(self, **counts: int) -> None:
        """Wait until the summary says so: ``kept=2, refused=1``."""
        told = ", ".join(f"{count} {state}" for state, count in counts.items())
        expect(self.page.locator("#summary")).to_have_text(told)

    def assert_no_mistakes(self) -> None:
        """Fail if a script broke, or the page's policy had to stop something."""
        assert self._mistakes == []

    def _hear(self, kind: str, text: str) -> None:
        # Refusals and lost connections are told there as well.
        if kind == "error" and "Failed to load resource" not in text:
            self._mistakes.append(text)


def _encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in files.items()}
