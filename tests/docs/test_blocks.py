"""Every line that the README, the tutorial and the how-to guides show is run as it stands."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.deployment.nginx import configure
from tests.deployment.serving import ask, started
from tests.docs.pages import DOCS, PAGES, README, blocks, name_of
from tests.live.server import SOURCE, LiveServer, free_port
from tests.tools import require_tool

SHOWN = (README, *sorted(DOCS.glob("tutorial/*.md")), *sorted(DOCS.glob("how-to/*.md")))

#: Lines that install or start something, and what covers them instead. A new one is added here.
CONSOLE = {
    "make run": "installs; what it starts is the server of these tests (test_make_run_serves)",
    "make test": "runs this test; .ci/run calls it",
    "docker build --rm -t http-bucket .": "needs Docker; tests of the Dockerfile's steps",
    "docker run --rm -p 5000:5000 --volume bucket:/data http-bucket": "needs Docker; the same",
    "pip install -r assets/requirements.txt": "installs; make run does the same line",
    "python3 ./assets/src/api.py": "test_starting: both start scripts",
    "FLASK_ENV=development python3 ./assets/src/api.py": "test_starting: reload",
    "REPLICATE_0='user/${USERNAME}/${TOPIC}' make run": "the servers of these tests have it",
    "HOST=0.0.0.0 make run": "test_make_run_serves, and test_starting with other addresses",
    "PORT=8080 make run": "every server here has a PORT of its own",
    "PORT=8080,8081 make run": "test_starting: several ports",
    "HOST=:: make run": "test_starting: IPv6",
    "HOST=::1 make run": "test_starting: IPv6",
    'GUNICORN_CMD_ARGS="--access-logfile -" make run': "test_starting: gunicorn's settings",
    "SCRIPT_NAME=/bucket make run": "test_proxy: a prefix that stays",
    "TRUSTED_PROXIES=127.0.0.1 PUBLIC_URL=https://bucket.example.org make run": "test_proxy",
    "TRUSTED_PROXIES=127.0.0.1 PUBLIC_URL=https://ci.example.org/bucket make run": "test_proxy",
    "CONTENT_ORIGIN=https://files.example.org PUBLIC_URL=https://bucket.example.org make run": (
        "test_proxy: an origin for kept files"
    ),
    "docker compose up -d --build": "needs Docker; test_compose, and nginx without a container",
    "CONTENT_ORIGIN=http://localhost:8080 docker compose up -d": "needs Docker; test_compose",
    **dict.fromkeys(
        (
            "useradd --system --home-dir /var/lib/http-bucket --shell /usr/sbin/nologin "
            "http-bucket",
            "python3 -m venv /opt/http-bucket",
            "/opt/http-bucket/bin/pip install .",
            "install -m 644 assets/systemd/http-bucket.service /etc/systemd/system/",
            "systemctl daemon-reload",
            "systemctl enable --now http-bucket",
            "runuser -u http-bucket -- env ARCHIVE_DIR=/var/lib/http-bucket "
            "/opt/http-bucket/bin/http-bucket stats",
        ),
        "changes the machine; test_systemd checks the unit",
    ),
    "rsync -aH --delete --exclude=/private/staging --exclude=/private/trash "
    "--exclude=/private/index.sqlite3* /tmp/bucket/archive/ backup.example.org:/srv/bucket/": (
        "needs another machine; the same page's copy is read"
    ),
    "INDEX_PATH=/var/tmp/bucket-index.sqlite3 make run": "test_trouble: another place",
    "http-bucket collect": "tests/cli/test_verbs; a new store refuses",
    "http-bucket import --dry-run /srv/original": "tests/cli/test_import",
    "http-bucket import /srv/original": "tests/cli/test_import",
    "rm -f /tmp/bucket/archive/private/index.sqlite3*": "test_starting: rebuilt index",
}
_OTHER_LANGUAGES = {"text", "json", "nginx"}
#: Pages whose console blocks their own tests cover.
_COVERED_ELSEWHERE = {
    "docs/how-to/run-in-docker.md",
    # Its snippets are taken apart by test_ci_snippets.
    "docs/how-to/upload-from-ci-systems.md",
    # Its programs are run by test_large_file_programs.
    "docs/how-to/send-a-large-file.md",
}
_RESTART = "make run"
#: Where the compose file's nginx shows the store.
_READERS = "http://localhost:8080"


@pytest.mark.parametrize("page", SHOWN, ids=name_of)
def test_every_block_shown_can_be_run(page: Path, server: LiveServer, tmp_path: Path) -> None:
    require_tool("curl")
    with ExitStack() as stack:
        readers = stack.enter_context(_readers(server)) if _READERS in page.read_text() else ""
        for script in _scripts(page):
            _run(script.replace(_READERS, readers), server, tmp_path)
            server.stop()
            server.start()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_line_that_is_not_run_is_known_to_be_covered(page: Path) -> None:
    if name_of(page) in _COVERED_ELSEWHERE:
        return
    shown = [block for block in blocks(page) if block.language != "sh"]
    lines = [
        line
        for block in shown
        if block.language not in _OTHER_LANGUAGES
        for line in block.text.splitlines()
    ]
    assert [line for line in lines if line not in CONSOLE] == []


def test_every_line_said_to_be_covered_is_shown() -> None:
    shown = {line for page in SHOWN for block in blocks(page) for line in block.text.splitlines()}
    assert set(CONSOLE) <= shown


def test_make_run_serves() -> None:
    recipe = subprocess.run(
        [require_tool("make"), "--no-print-directory", "--dry-run", "run"],
        cwd=README.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    assert recipe.stdout.splitlines()[-1].endswith("/http-bucket serve")


@contextmanager
def _readers(server: LiveServer) -> Iterator[str]:
    """The address of the shipped nginx on the server's store."""
    nginx, port = require_tool("nginx", package="nginx-light"), free_port()
    place = server.directory / "nginx"
    place.mkdir()
    # Its workers are of another user, for whom pytest's directories are closed.
    command = [nginx, "-g", f"user {getpass.getuser()};", *configure(place, server.archive, port)]
    with started(command, lambda: ask(port, "/").status == 404, os.environ):
        yield f"http://127.0.0.1:{port}"


def _scripts(page: Path) -> Iterator[str]:
    """The shell blocks of a page as one script, or several with the server started in between."""
    lines: list[str] = []
    for block in blocks(page):
        if block.language == "sh":
            lines.append(block.text)
        elif lines and _RESTART in block.text.splitlines():
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def _run(script: str, server: LiveServer, place: Path) -> None:
    workplace = place / "workplace"
    workplace.mkdir(exist_ok=True)
    # So that a refusal ends the script, which people would see.
    (place / ".curlrc").write_text("fail\nsilent\nshow-error\n")
    shown = script.replace("http://localhost:5000", server.url)
    finished = subprocess.run(
        [require_tool("bash"), "-euo", "pipefail", "-c", _in_store(shown, server)],
        cwd=workplace,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={
            **os.environ,
            "CURL_HOME": str(place),
            "ARCHIVE_DIR": str(server.archive),
            "PATH": f"{_programs(place)}:{os.environ['PATH']}",
        },
    )
    assert finished.returncode == 0, f"{shown}\n{finished.stdout}\n{finished.stderr}"


def _programs(place: Path) -> Path:
    """A directory with ``http-bucket``, as an installation has it."""
    programs = place / "bin"
    programs.mkdir(exist_ok=True)
    program = programs / "http-bucket"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={SOURCE} exec {sys.executable} -m httpbucket "$@"\n')
    program.chmod(0o755)
    return programs


def _in_store(script: str, server: LiveServer) -> str:
    return script.replace("/tmp/bucket/archive", str(server.archive))
