"""The ways to start and to place the server that the documentation shows."""

from __future__ import annotations

import json
import shutil
import socket
import urllib.error
from hashlib import md5
from pathlib import Path

import pytest

from tests.docs.conftest import StartServer, fetch
from tests.docs.pages import ROOT
from tests.live.server import LiveServer, free_port, wait_until

_CONTENT = b"<results/>\n"


@pytest.mark.parametrize("script", ["api.py", "bucket.py"])
def test_both_start_scripts_serve(start_server: StartServer, script: str) -> None:
    server = start_server(script=[f"./assets/src/{script}"])
    assert fetch(f"{server.url}/") == b"http-bucket server\n"


def test_in_development_the_server_reloads_when_the_code_changes(
    start_server: StartServer, tmp_path: Path
) -> None:
    source = tmp_path / "src"
    shutil.copytree(ROOT / "assets/src", source, ignore=shutil.ignore_patterns("__pycache__"))
    server = start_server(FLASK_ENV="development", script=[str(source / "api.py")], source=source)
    module = source / "httpbucket" / "__init__.py"
    module.write_text(module.read_text().replace('__version__ = "', '__version__ = "changed-'))

    def is_loaded_anew() -> bool:
        # Changed again each time: gunicorn takes what it sees first for the unchanged code.
        module.touch()
        return _version(server).startswith("changed-")

    wait_until(is_loaded_anew, seconds=20, what="the code is loaded anew")


def test_several_ports_are_all_served(start_server: StartServer) -> None:
    ports = [free_port(), free_port()]
    start_server(PORT=",".join(map(str, ports)))
    assert [fetch(f"http://127.0.0.1:{port}/ping") for port in ports] == [b"pong\n"] * 2


@pytest.mark.parametrize("host", ["::1", "::"])
def test_it_listens_on_ipv6(start_server: StartServer, host: str) -> None:
    if not _has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    server = start_server(HOST=host)
    assert fetch(f"{server.url}/ping") == b"pong\n"


def test_gunicorn_takes_its_own_settings_from_the_environment(start_server: StartServer) -> None:
    server = start_server(GUNICORN_CMD_ARGS="--access-logfile -")
    wait_until(
        lambda: '"GET /ping HTTP/1.1" 200' in server.log, seconds=10, what="the request is logged"
    )


def test_questions_are_answered_as_before_after_the_index_was_deleted(server: LiveServer) -> None:
    server.upload(_CONTENT, "results.xml")
    server.stop()
    for path in (server.archive / "private").glob("index.sqlite3*"):
        path.unlink()
    server.start()
    digest = md5(_CONTENT).hexdigest()
    wait_until(lambda: _is_known(server, digest), seconds=20, what="the index is rebuilt")


def _version(server: LiveServer) -> str:
    try:
        return str(json.loads(fetch(f"{server.url}/config"))["version"])
    except OSError:
        return ""


def _is_known(server: LiveServer, digest: str) -> bool:
    return _answers(f"{server.url}/checksum/{digest}")


def _answers(url: str) -> bool:
    try:
        fetch(url)
    except urllib.error.HTTPError as refused:
        refused.close()
        assert refused.code == 503
        return False
    except OSError:
        return False
    return True


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
