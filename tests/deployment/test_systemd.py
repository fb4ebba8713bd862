"""The shipped unit is one that systemd takes, and that the server can live with."""

from __future__ import annotations

import subprocess
from pathlib import Path

from httpbucket.config import Settings
from tests.docs.pages import ROOT
from tests.tools import require_tool

UNIT = ROOT / "assets/systemd/http-bucket.service"


def _values(name: str) -> list[str]:
    lines = [line.partition("=") for line in UNIT.read_text().splitlines()]
    return [value for key, _, value in lines if key == name]


def test_systemd_takes_every_line(tmp_path: Path) -> None:
    analyze = require_tool("systemd-analyze", package="systemd")
    # It looks for the program, which a test does not install.
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/http-bucket/bin/http-bucket", "/bin/true"))
    finished = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], check=False, capture_output=True, text=True
    )
    assert [line for line in finished.stderr.splitlines() if UNIT.name in line] == []


def test_it_is_hardened_and_may_write_to_the_store_alone() -> None:
    assert _values("ProtectSystem") == ["strict"]
    assert _values("NoNewPrivileges") == ["yes"]
    assert _values("ReadWritePaths") == []
    (variables,) = _values("Environment")
    environ = dict(text.split("=", 1) for text in variables.split())
    settings = Settings.from_environ(environ)
    assert settings.archive_dir == Path("/var/lib") / _values("StateDirectory")[0]


def test_a_stop_waits_for_uploads_longer_than_gunicorn_does() -> None:
    text = (ROOT / "assets/src/httpbucket/server/gunicorn_conf.py").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("graceful_timeout")]
    (seconds,) = _values("TimeoutStopSec")
    assert int(seconds) > int(line.partition("=")[2])
