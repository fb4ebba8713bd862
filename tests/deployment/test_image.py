"""The image's commands with its environment and the real program; in place of the container."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deployment.container import PACKAGES, SERVICE, python_for_everybody
from tests.deployment.dockerfile import IMAGE, ROOT, on_this_machine
from tests.deployment.serving import ask, started, upload
from tests.live.server import free_port


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_store_that_root_filled_is_served_by_the_service_user(open_directory: Path) -> None:
    environ = image_environ(open_directory)
    python = python_for_everybody("flask, gunicorn, magic, pylibmagic")
    serve = [python, "-m", "httpbucket", *IMAGE.command("CMD")]
    enter = on_this_machine([*IMAGE.command("ENTRYPOINT"), *IMAGE.command("CMD")], python)
    by_root = serve_one_upload(serve, environ, "by-root.txt")
    serve_one_upload(enter, environ, "by-service.txt")
    store = Path(environ["ARCHIVE_DIR"])
    assert {path.lstat().st_uid for path in (store, *store.rglob("*"))} == {SERVICE}
    assert (store / by_root / "by-root.txt").read_bytes() == b"content"


def serve_one_upload(command: list[str], environ: dict[str, str], filename: str) -> str:
    """Start the server, check its health as Docker would, upload; the upload's directory."""
    first, second = free_port(), free_port()
    ports = {"PORT": f"{first},{second}"}
    with started(command, lambda: ask(first, "/ping").status == 200, environ | ports):
        health = on_this_machine(IMAGE.command("HEALTHCHECK"), command[0])
        subprocess.run(health, env=environ | ports, check=True, capture_output=True)
        receipt = upload(second, filename, b"content")
    return str(receipt["path"]["upload"])


def image_environ(directory: Path) -> dict[str, str]:
    """The image's environment, with a copy of the source and a store in this directory."""
    app = shutil.copytree(ROOT / "assets" / "src", directory / "app")
    for path in (app, *app.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    here = {"PYTHONPATH": f"{app}:{PACKAGES}", "ARCHIVE_DIR": str(directory / "store")}
    return IMAGE.environ | {"PATH": os.environ["PATH"], "HOST": "127.0.0.1"} | here
