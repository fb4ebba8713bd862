"""Deleting on a running server: what goes, what two workers agree on, and what no log shows."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from tests.live.server import LiveServer, digest

CONTENT = b"<testsuite/>"


def test_an_upload_is_taken_back_by_any_worker_and_leaves_nothing(tmp_path: Path) -> None:
    with LiveServer(
        tmp_path,
        WEB_CONCURRENCY="2",
        FSYNC="off",
        GUNICORN_CMD_ARGS="--access-logfile -",
    ) as server:
        # Whichever worker answers, it reads what another one signed.
        for _ in range(6):
            receipt = server.upload(CONTENT)
            path = receipt["undo"].removeprefix(server.url)
            answer = server.request("DELETE", path)
            assert answer.status == 200, answer
            assert json.loads(answer.body)["bytes_freed"] == len(CONTENT)
            assert server.knows(digest(CONTENT)) == 404
            assert server.request("GET", path).status == 404
        token = path.rpartition("/")[2]
        assert "/undo/-" in server.log
        assert token not in server.log
        secret = server.archive / "private" / "secret"
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        server.wait_for_empty_staging()
        assert list((server.archive / "private" / "trash").iterdir()) == []


def test_deleting_is_closed_unless_it_is_opened(tmp_path: Path) -> None:
    with LiveServer(tmp_path, FSYNC="off") as server:
        receipt = server.upload(CONTENT)
        assert server.request("DELETE", f"/uploads/{receipt['upload']['id']}").status == 403
        assert server.knows(digest(CONTENT)) == 200
        server.stop()
        server.settings["ANONYMOUS"] = "read,upload,delete"
        server.start()
        assert server.request("DELETE", f"/{receipt['path']['upload']}/").status == 200
        assert server.knows(digest(CONTENT)) == 404
