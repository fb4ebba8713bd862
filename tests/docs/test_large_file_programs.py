"""The programs that the page on large files shows are run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, blocks
from tests.live.server import LiveServer, digest
from tests.tools import require_tool
from tests.tus_js import require_tus_js

PAGE = DOCS / "how-to" / "send-a-large-file.md"
CONTENT = os.urandom(20_000_000)


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A directory with the file that is to be sent."""
    place = tmp_path / "workplace"
    place.mkdir()
    (place / "disk.img").write_bytes(CONTENT)
    return place


def shown(language: str, server: LiveServer) -> str:
    (text,) = [block.text for block in blocks(PAGE) if block.language == language]
    return text.replace("http://localhost:5000", server.url)


def run(*command: str, place: Path, **variables: str) -> None:
    subprocess.run(command, cwd=place, env=os.environ | variables, check=True, timeout=60)


def test_the_one_in_python_sends_it(server: LiveServer, workplace: Path) -> None:
    run(sys.executable, "-c", shown("python", server), place=workplace)
    assert server.knows(f"sha256:{digest(CONTENT)}") == 200
    latest = server.archive / "replica/user/bob/nightly/disk.latest.img"
    assert latest.read_bytes() == CONTENT


def test_the_one_in_node_sends_it(server: LiveServer, workplace: Path) -> None:
    modules = str(require_tus_js().parent)
    node = require_tool("node", package="nodejs")
    run(node, "-e", shown("js", server), place=workplace, NODE_PATH=modules)
    assert server.knows(f"sha256:{digest(CONTENT)}") == 200
