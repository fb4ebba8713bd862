"""Directories sent with what every machine has: coreutils or BusyBox, tar, curl or wget."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import ServerFactory
from tests.live.server import SERVE, LiveServer
from tests.live.wire import request_head
from tests.tools import require_tool

#: As the documentation has it; the last line prints the receipt.
THREE_LINES = """
set -e
find results -type f -exec sha256sum {} + > sums
curl -fsS --data-binary @sums "$S/tree?name=results" -o missing -D headers
tar cf - -T missing | curl -fsS -T - "$S$(sed -n 's/^[Ll]ocation: *//p' headers | tr -d '\\r')"
"""

#: Not every BusyBox has tar -T.
WITH_XARGS = """
set -e
find results -type f -exec sha256sum {} + > sums
curl -fsS --data-binary @sums "$S/tree?name=results" -o missing -D headers
tr '\\n' '\\0' < missing | xargs -0 -r tar cf - |
    curl -fsS -T - "$S$(sed -n 's/^[Ll]ocation: *//p' headers | tr -d '\\r')"
"""

#: GNU's: BusyBox sends a file with wget only as far as its first NUL.
WITH_WGET = """
set -e
find results -type f -exec sha256sum {} + > sums
wget -q -S -O missing --post-file sums "$S/tree?name=results" 2> headers
tr '\\n' '\\0' < missing | xargs -0 -r tar cf - > missing.tar
wget -q -O - --post-file missing.tar "$S$(sed -n 's/^ *[Ll]ocation: *//p' headers | tr -d '\\r')"
"""

FILES = {
    "results/a.txt": b"one",
    "results/with space/b c.txt": b"two",
    "results/déjà/vu.xml": b"<three/>",
    "results/-rf": b"four",
    "results/big": os.urandom(3_000_000),
}


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    write(tmp_path / "work", FILES)
    return tmp_path / "work"


def write(directory: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)


def run(server: LiveServer, workplace: Path, script: str, *shell: str) -> dict[str, Any]:
    done = subprocess.run(
        [*(shell or ("sh",)), "-c", script],
        cwd=workplace,
        env={"PATH": os.environ["PATH"], "S": server.url},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    receipt: dict[str, Any] = json.loads(done.stdout)
    return receipt


def busybox(directory: Path) -> list[str]:
    """A shell that has BusyBox's applets, and of other programs only curl."""
    program, curl = require_tool("busybox"), require_tool("curl")
    directory.mkdir()
    for applet in ("find", "sha256sum", "tar", "sed", "tr", "wget", "xargs"):
        (directory / applet).symlink_to(program)
    (directory / "curl").symlink_to(curl)
    return ["env", f"PATH={directory}", program, "sh"]


def kept(server: LiveServer, receipt: dict[str, Any]) -> dict[str, bytes]:
    root = server.archive / receipt["path"]["archive"]
    files = (path for path in root.rglob("*") if path.is_file())
    return {f"results/{path.relative_to(root)}": path.read_bytes() for path in files}


def pending(server: LiveServer) -> set[Path]:
    return set((server.archive / "private" / "partial" / "tree").glob("*"))


@pytest.mark.parametrize(
    ("tools", "script"),
    [
        pytest.param("coreutils", THREE_LINES, id="coreutils-tar"),
        pytest.param("coreutils", WITH_XARGS, id="coreutils-xargs"),
        pytest.param("coreutils", WITH_WGET, id="coreutils-wget"),
        pytest.param("busybox", WITH_XARGS, id="busybox-xargs"),
    ],
)
def test_a_directory_is_sent_and_again_when_little_is_new(
    server: LiveServer, workplace: Path, tmp_path: Path, tools: str, script: str
) -> None:
    require_tool("curl")
    require_tool("wget")
    shell = busybox(tmp_path / "bin") if tools == "busybox" else []
    first = {**FILES, "results/first": os.urandom(20)}
    write(workplace, first)
    assert kept(server, run(server, workplace, script, *shell)) == first
    again = run(server, workplace, script, *shell)
    assert (workplace / "missing").read_bytes() == b""
    assert kept(server, again) == first
    new = {"results/new.txt": os.urandom(20)}
    write(workplace, new)
    third = run(server, workplace, script, *shell)
    assert (workplace / "missing").read_bytes() == b"results/new.txt\n"
    assert kept(server, third) == first | new


def test_the_server_killed_between_the_two_requests_changes_nothing(
    server: LiveServer, workplace: Path
) -> None:
    require_tool("curl")
    first, _, last = THREE_LINES.strip().rpartition("\n")
    subprocess.run(
        ["sh", "-c", first], cwd=workplace, env={**os.environ, "S": server.url}, check=True
    )
    server.kill()
    server.start()
    assert kept(server, run(server, workplace, last)) == FILES


def test_a_tar_that_fails_fails_the_script(server: LiveServer, workplace: Path) -> None:
    write(workplace, {"results/first": os.urandom(20)})
    script = THREE_LINES.replace("tar cf - -T missing", "false")
    shown = subprocess.run(
        ["sh", "-c", script],
        cwd=workplace,
        env={**os.environ, "S": server.url},
        check=False,
        capture_output=True,
    )
    assert (shown.returncode, shown.stdout) == (22, b"")


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_what_breaks_off_on_the_way_is_refused_and_can_be_sent_again(
    server: LiveServer, workplace: Path, method: str
) -> None:
    require_tool("curl")
    first, _, last = THREE_LINES.strip().rpartition("\n")
    for line in (first, "tar cf missing.tar -T missing"):
        environ = {**os.environ, "S": server.url}
        subprocess.run(["sh", "-c", line], cwd=workplace, env=environ, check=True)
    headers = (workplace / "headers").read_text().splitlines()
    location = next(line.split(": ")[1] for line in headers if line.lower().startswith("location"))
    body = (workplace / "missing.tar").read_bytes()
    with server.connect() as wire:
        wire.send(request_head(method, location, {"Content-Length": str(len(body))}))
        wire.send(body[: len(body) // 2])
        wire.end_sending()
        assert wire.receive_answer(method).status == 400
    server.wait_for_empty_staging()
    assert kept(server, run(server, workplace, last)) == FILES


def test_a_list_that_is_cut_is_refused(server: LiveServer) -> None:
    before = pending(server)
    line = b"0" * 64 + b"  results/a\n"
    with server.connect() as wire:
        wire.send(request_head("POST", "/tree?name=results", {"Content-Length": "1000"}))
        wire.send(line)
        wire.end_sending()
        assert wire.receive_answer("POST").status == 400
    assert pending(server) == before


def test_a_thousand_files_in_one_request_need_few_descriptors(
    servers: ServerFactory, tmp_path: Path
) -> None:
    require_tool("curl")
    command = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh", *SERVE)
    server = servers.start(command=command)
    files = {f"results/{number}.txt": b"%d" % number for number in range(1000)}
    files |= {f"results/big{number}": os.urandom(200_000) for number in range(20)}
    write(tmp_path, files)
    # What is inside each waits until all of them are known.
    packed = {f"results/{number}.gz": gzip.compress(b"log %d" % number) for number in range(300)}
    write(tmp_path, packed)
    files |= packed
    forms = "".join(f'form = "file=@{path};filename={path}"\n' for path in files)
    (tmp_path / "forms").write_text(forms)
    each = run(server, tmp_path, 'curl -fsS -K forms "$S/upload"')
    assert len(each["uploads"]) == len(files)
    tree = run(server, tmp_path, 'curl -fsS -K forms -H "Tree: results" "$S/upload"')
    assert kept(server, tree) == files
