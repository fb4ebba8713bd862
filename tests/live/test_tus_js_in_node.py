"""tus-js-client in node, unmodified; and aria2 for the way back."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer, digest, wait_until
from tests.tools import require_tool
from tests.tus_js import require_tus_js

SIZE = 4_000_000
GUARD_SECONDS = 60

#: Uploads a file in pieces, and goes on with what an earlier process began. With a number as the
#: last argument it ends after so many pieces.
CLIENT = """
const fs = require("fs");
const [tus, endpoint, path, urls, most] = process.argv.slice(2);
const { Upload, FileUrlStorage } = require(tus);
let pieces = 0;
const upload = new Upload(fs.createReadStream(path), {
  endpoint,
  chunkSize: 1_000_000,
  retryDelays: [100, 200, 400, 800, 1600, 3200],
  metadata: { filename: "of node é.bin" },
  urlStorage: new FileUrlStorage(urls),
  onChunkComplete: () => { if (++pieces == most) process.exit(0); },
  onSuccess: () => console.log(upload.url),
  onError: (error) => { console.error(String(error)); process.exit(1); },
});
upload.findPreviousUploads().then((previous) => {
  if (previous.length > 0) upload.resumeFromPreviousUpload(previous[0]);
  console.log(`begun before: ${previous.length}`);
  upload.start();
});
"""


@pytest.fixture
def content() -> bytes:
    return os.urandom(SIZE)


def command(server: LiveServer, place: Path, content: bytes) -> tuple[str, ...]:
    """The client's, to send ``content``."""
    (place / "client.js").write_text(CLIENT)
    (place / "content.bin").write_bytes(content)
    client = (require_tool("node", package="nodejs"), str(place / "client.js"))
    package = str(require_tus_js())
    return (*client, package, f"{server.url}/tus/", str(place / "content.bin"), str(place / "urls"))


def run(*command: str) -> str:
    return subprocess.run(
        command, check=True, timeout=GUARD_SECONDS, capture_output=True, text=True
    ).stdout


def uploads(server: LiveServer) -> list[Path]:
    return list((server.archive / "archive").glob("*/*/*/*"))


def test_another_process_goes_on_after_a_restart(
    servers: ServerFactory, tmp_path: Path, content: bytes
) -> None:
    server = servers.start(FSYNC="off")
    client = command(server, tmp_path, content)
    assert "begun before: 0" in run(*client, "2")
    server.kill()
    server.start()
    assert "begun before: 1" in run(*client)
    assert server.knows(f"sha256:{digest(content)}") == 200
    assert len(uploads(server)) == 1


def test_it_waits_for_a_server_that_is_gone_for_a_moment(
    servers: ServerFactory, tmp_path: Path, content: bytes
) -> None:
    server = servers.start(FSYNC="off")
    client = command(server, tmp_path, content * 5)
    partial = server.archive / "private" / "partial" / "tus"
    with subprocess.Popen(client) as process:
        wait_until(
            lambda: any(path.stat().st_size for path in partial.glob("*/bytes")),
            seconds=20,
            what="the first piece is there",
        )
        server.kill()
        server.start()
        assert process.wait(GUARD_SECONDS) == 0
    assert server.knows(f"sha256:{digest(content * 5)}") == 200
    assert len(uploads(server)) == 1


def test_aria2_brings_back_what_came_in_pieces(
    server: LiveServer, tmp_path: Path, content: bytes
) -> None:
    run(*command(server, tmp_path, content))
    aria2 = (require_tool("aria2c", package="aria2"), "--no-conf", "--min-split-size=1M")
    place = (f"--dir={tmp_path}", "--out=back.bin", "--split=4")
    checked = (f"--checksum=sha-256={digest(content)}", "--check-integrity=true")
    run(*aria2, *place, *checked, f"{server.url}/blob/{digest(content)}")
    assert (tmp_path / "back.bin").read_bytes() == content
