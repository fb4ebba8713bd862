"""Replicas as producers ask for them, and as people find them on the disk."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import COMPRESSORS, tar, tar_member
from tests.live.conftest import ServerFactory
from tests.live.replica_clients import BOB, DEMO, TEMPLATE, upload_to
from tests.live.server import LiveServer, wait_until
from tests.live.wire import multipart
from tests.replica_checks import link_faults, replica_faults
from tests.tools import require_tool


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with a template, which the tests of this module share."""
    with LiveServer(tmp_path_factory.mktemp("bucket"), REPLICATE_0=TEMPLATE) as server:
        yield server


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A directory with a tarball and a plain file, where a producer works."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "index.html").write_text("<h1>")
    with tarfile.open(tmp_path / "results.tgz", "w:gz") as archive:
        archive.add(tmp_path / "results" / "index.html", "report/index.html")
    (tmp_path / "results.xml").write_text("<results/>")
    return tmp_path


def curl(line: str, server: LiveServer, workplace: Path) -> dict[str, Any]:
    """What a line that people type prints; ``http://localhost:5000`` is the server."""
    require_tool("curl")
    finished = subprocess.run(
        ["sh", "-euc", line.replace("http://localhost:5000", server.url)],
        cwd=workplace,
        env=server.environ,
        check=True,
        capture_output=True,
    )
    receipt: dict[str, Any] = json.loads(finished.stdout)
    return receipt


def only_path(receipt: dict[str, Any]) -> str:
    (path,) = receipt["path"]["replicas"]
    return str(path)


def test_the_example_of_the_readme(servers: ServerFactory, workplace: Path) -> None:
    server = servers.start(REPLICATE_0="user/${USERNAME}/${TOPIC}")
    receipt = curl(
        'curl -H "Username: bob" -H "Topic: demo" -F file=@results.tgz '
        "http://localhost:5000/upload",
        server,
        workplace,
    )
    path = only_path(receipt)
    assert re.fullmatch(r"replica/user/bob/demo/results\.\d{8}\.\d{4}\.0", path)
    assert (server.archive / path / "report" / "index.html").read_text() == "<h1>"
    latest = server.archive / DEMO / "results.latest"
    assert latest.readlink() == Path(Path(path).name)
    assert receipt["log"][-1] == f"Replica {path}, now results.latest."
    assert receipt["upload"]["replicas"] == [
        {"path": path, "part": "tree", "latest": ["results.latest"]}
    ]
    assert json.loads(server.request("GET", "/config").body)["REPLICATES"] == [TEMPLATE]


#: A value, and the directory that it becomes; None for one that no replica is made for.
VALUES = {
    "dots": ("..", "_..~5ec1f7e700f37c3d"),
    "upwards": ("../../x", "_.._.._x~"),
    "absolute": ("/etc", "_etc~"),
    "slash": ("a/b", "a_b~"),
    "backslash": ("a\\b", "a_b~"),
    "hidden": (".hidden", "_.hidden~"),
    "long": ("x" * 5000, "x" * 163 + "~"),
    "emoji": ("🧪🚀", "🧪🚀"),
    "composed": ("caf\u00e9", "caf\u00e9"),
    "combining": ("cafe\u0301", "caf\u00e9"),
    "right-to-left": ("a\u202eb", "a_b~"),
    "percent": ("%2e%2e", "%2e%2e"),
    "latest": ("results.latest", "results_latest~"),
    "tab": ("a\tb", "a_b~"),
    "twice": ("a\r\nTopic: b", "a,b"),
    "dash": ("-rf", "-rf"),
    "empty": ("", None),
    "spaces": ("   ", None),
}


@pytest.mark.parametrize(("value", "part"), VALUES.values(), ids=VALUES)
def test_no_value_of_a_header_leads_outside(
    bucket: LiveServer, value: str, part: str | None
) -> None:
    user = f"user-{[*VALUES.values()].index((value, part))}"
    before = surroundings(bucket)
    receipt = upload_to(bucket, {"Username": user, "Topic": value})
    assert surroundings(bucket) == before
    if part is None:
        assert receipt["path"]["replicas"] is None
        assert receipt["log"][-1] == (
            f"No replica under {TEMPLATE}: the request has username but not topic."
        )
        return
    _, _, its_user, its_part, name = only_path(receipt).split("/")
    assert (its_user, its_part[: len(part)]) == (user, part)
    assert len(its_part.encode()) <= 180
    topics = [path.name for path in (bucket.archive / "replica" / "user" / user).iterdir()]
    assert topics == [its_part]
    assert (bucket.archive / "replica" / "user" / user / its_part / name).is_file()
    told = [line for line in receipt["log"] if "of the header topic became" in line]
    assert len(told) == (value not in {its_part, "a\r\nTopic: b"})
    assert all(repr(its_part) in line for line in told)


def test_a_header_with_a_nul_is_refused_by_gunicorn(bucket: LiveServer) -> None:
    before = surroundings(bucket)
    with bucket.connect() as wire:
        body, kind = multipart(b"<results/>")
        headers = {"Username": "bob", "Topic": "a\0b", "Content-Type": kind}
        wire.send_request("POST", "/upload", body, headers)
        assert wire.receive_answer("POST").status == 400
    assert surroundings(bucket) == before


def surroundings(server: LiveServer) -> set[Path]:
    """Everything near the replicas that no upload may add to."""
    replicas = server.archive / "replica"
    places = (server.directory.parent, server.directory, server.archive, replicas)
    return {path for place in places for path in place.iterdir()} | {replicas / "user"}


class TestSaying:
    """Headers go before form fields, and these before the query."""

    @pytest.mark.parametrize(
        "arguments",
        [
            "-F username=bob -F topic=demo -F file=@results.xml {url}",
            "-F file=@results.xml -F Username=bob -F TOPIC=demo {url}",
            "-F file=@results.xml '{url}?username=bob&topic=demo'",
            "-F file=@results.xml '{url}?Username=bob&TOPIC=demo'",
            "-H 'USERNAME: bob' -H 'topic: demo' -F file=@results.xml {url}",
            "-H 'Username: bob' -F topic=demo -F file=@results.xml {url}",
            "-H 'Username: bob' -F file=@results.xml '{url}?topic=demo'",
            "-H 'Username: bob' -H 'Topic: demo' -F username=eve -F file=@results.xml {url}",
            "-H 'Topic: demo' -F username=bob -F file=@results.xml '{url}?username=eve'",
            "-H 'Username: bob' -H 'Topic: demo' -F file=@results.xml '{url}?topic=other'",
            "-F username= -F file=@results.xml '{url}?username=bob&topic=demo'",
        ],
    )
    def test_every_way_leads_to_the_same_directory(
        self, bucket: LiveServer, workplace: Path, arguments: str
    ) -> None:
        url = "http://localhost:5000/upload"
        receipt = curl(f"curl -sS {arguments.format(url=url)}", bucket, workplace)
        assert only_path(receipt).startswith(f"{DEMO}/results.")

    def test_a_field_is_made_safe_as_a_header_is(self, bucket: LiveServer, workplace: Path) -> None:
        receipt = curl(
            "curl -sS -F username=bob -F 'topic=../../x' -F file=@results.xml "
            "http://localhost:5000/upload",
            bucket,
            workplace,
        )
        assert only_path(receipt).startswith("replica/user/bob/_.._.._x~")

    def test_an_underscore_in_a_header_is_dropped(self, bucket: LiveServer) -> None:
        receipt = upload_to(bucket, {"User_name": "bob", "Topic": "demo"})
        assert receipt["path"]["replicas"] is None

    def test_a_result_moves_its_own_latest(self, bucket: LiveServer) -> None:
        topic = {"Username": "bob", "Topic": "results"}
        passed = upload_to(bucket, topic | {"Result": "Passed"})
        failed = upload_to(bucket, topic | {"Result": "error"})
        other = upload_to(bucket, topic | {"Result": "skipped"})
        links = {
            path.name: str(path.readlink())
            for path in (bucket.archive / "replica/user/bob/results").iterdir()
            if path.is_symlink()
        }
        assert links == {
            "results.latest.xml": Path(only_path(other)).name,
            "results.latest-pass.xml": Path(only_path(passed)).name,
            "results.latest-fail.xml": Path(only_path(failed)).name,
        }
        assert "Result: 'skipped' is neither a pass nor a failure." in other["log"]


def test_replicas_alone_are_complete_when_copied(bucket: LiveServer, tmp_path: Path) -> None:
    topic = {"Username": "bob", "Topic": "copied", "Result": "ok"}
    members = (tar_member("a/b/c.txt", b"deep"), tar_member("empty.txt"), tar_member("top", b"top"))
    packed = tar(*members)
    upload_to(bucket, topic, packed, "results.tar")
    upload_to(bucket, topic, COMPRESSORS["gzip"](packed), "results.tgz")
    upload_to(bucket, topic, COMPRESSORS["gzip"](b"lines\n"), "log.gz")
    upload_to(bucket, topic, b"", "empty.txt")
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", bucket.archive / "replica", copy], check=True)
    assert contents(copy) == contents(bucket.archive / "replica")
    assert list(link_faults(copy)) == []
    assert (copy / "user/bob/copied/results.latest-pass/a/b/c.txt").read_bytes() == b"deep"
    assert (copy / "user/bob/copied/log.latest").read_bytes() == b"lines\n"
    assert replica_faults(bucket.archive) == []


def contents(root: Path) -> dict[str, bytes | str]:
    """What each name below a directory shows: bytes, or where a link leads."""
    return {
        str(path.relative_to(root)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


class TestArchiveUri:
    def test_paths_in_receipts_begin_with_the_web_server_s_address(
        self, servers: ServerFactory
    ) -> None:
        uri = "https://files.example/bucket"
        server = servers.start(REPLICATE_0=TEMPLATE, ARCHIVE_URI=f"{uri}/")
        receipt = upload_to(server, BOB | {"Topic": "a b%"})
        assert only_path(receipt).startswith(f"{uri}/replica/user/bob/a%20b%25/results.")
        assert all(path.startswith(f"{uri}/") for path in all_paths(receipt))

    def test_a_directory_is_shown_as_a_file_url(
        self, servers: ServerFactory, tmp_path: Path
    ) -> None:
        shown = tmp_path / "a b%41ü"
        server = servers.new(REPLICATE_0=TEMPLATE, ARCHIVE_URI=str(shown))
        shown.symlink_to(server.archive)
        with server:
            receipt = upload_to(server, BOB | {"Topic": "日本 語"})
            assert only_path(receipt).startswith(f"{shown.as_uri()}/replica/user/bob/%E6%97%A5")
            for uri in all_paths(receipt):
                subprocess.run([require_tool("curl"), "-sfI", uri], check=True, capture_output=True)
            assert "ARCHIVE_URI" not in server.log

    def test_a_location_that_does_not_answer_is_warned_of(self, servers: ServerFactory) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            uri = f"http://127.0.0.1:{bound.getsockname()[1]}"
            server = servers.start(ARCHIVE_URI=uri)
            wait_until(lambda: "ARCHIVE_URI" in server.log, seconds=30, what="it warns")
            assert server.upload(b"content")["code"] == 200
            server.stop()
            assert server.log.count(f"WARNING: ARCHIVE_URI {uri} does not answer") == 1

    def test_a_location_that_keeps_silent_does_not_delay_the_start(
        self, servers: ServerFactory
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
            server = servers.start(ARCHIVE_URI=uri)
            asking, _ = listener.accept()
            assert server.upload(b"content")["code"] == 200
            assert "ARCHIVE_URI" not in server.log
            asking.close()
        wait_until(lambda: "ARCHIVE_URI" in server.log, seconds=30, what="it warns")


def all_paths(receipt: dict[str, Any]) -> list[str]:
    paths = receipt["path"]
    return [*filter(None, (paths["blob"], paths["upload"])), *paths["replicas"]]
