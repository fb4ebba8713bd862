"""The nginx for readers: a real one, on a store that a real server filled."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from httpbucket.web.content import IMMUTABLE
from httpbucket.web.policies import CONTENT_POLICY
from tests.deployment.nginx import configure
from tests.deployment.serving import ask, started
from tests.live.server import LiveServer, free_port
from tests.live.wire import Answer
from tests.tools import require_tool

UPLOADS = {
    "page.html": b"<script>alert(1)</script>",
    "index.html": b"<p>a report</p>",
    "build.log": b"[INFO] done\n",
    "\u65e5\u672c\u8a9e.txt": b"a name in Japanese",
}


class Site:
    """A store behind nginx."""

    def __init__(self, store: Path, port: int, receipts: dict[str, dict[str, Any]]) -> None:
        self.store = store
        self.port = port
        self.receipts = receipts

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return ask(self.port, path, method, headers=headers)

    def upload_of(self, filename: str) -> str:
        """The path of an upload's directory."""
        return f"/{self.receipts[filename]['path']['upload']}/"

    def file(self, filename: str) -> str:
        """The path of an uploaded file."""
        return self.upload_of(filename) + quote(filename)


@pytest.fixture(scope="module")
def site(module_directory: Path) -> Iterator[Site]:
    nginx = require_tool("nginx", package="nginx-light")
    store, port = module_directory / "store", free_port()
    receipts = fill(module_directory, store)
    name_replica(store, receipts["build.log"]["path"]["blob"])
    command = [nginx, *configure(module_directory, store, port)]
    with started(command, lambda: ask(port, "/").status == 404, os.environ):
        yield Site(store, port, receipts)


def fill(directory: Path, store: Path) -> dict[str, dict[str, Any]]:
    """Upload with a real server, which is gone afterwards: readers do not need it."""
    with LiveServer(directory, ARCHIVE_DIR=str(store), WEB_CONCURRENCY="1") as server:
        return {name: server.upload(content, name) for name, content in UPLOADS.items()}


def name_replica(store: Path, blob: str) -> None:
    """A replica and its ``latest``, as the server names them for a request with the headers."""
    directory = store / "replica" / "user" / "bob"
    directory.mkdir(parents=True)
    (directory / "build.20261121.1432.0.log").hardlink_to(store / blob)
    (directory / "build.latest.log").symlink_to("build.20261121.1432.0.log")


def test_nginx_finds_nothing_wrong_with_the_configuration(module_directory: Path) -> None:
    nginx = require_tool("nginx", package="nginx-light")
    directory = module_directory / "configuration"
    directory.mkdir()
    arguments = configure(directory, directory, free_port())
    finished = subprocess.run(
        [nginx, "-t", *arguments], check=False, capture_output=True, text=True
    )
    shutil.rmtree(directory)
    assert finished.returncode == 0, finished.stderr
    assert "warn" not in finished.stderr


@pytest.mark.parametrize("filename", UPLOADS)
def test_an_upload_is_shown_under_its_name_and_under_its_blobs(site: Site, filename: str) -> None:
    by_name = site.get(site.file(filename))
    by_blob = site.get(f"/{site.receipts[filename]['path']['blob']}")
    assert (by_name.status, by_name.body) == (200, UPLOADS[filename])
    assert (by_blob.status, by_blob.body) == (200, UPLOADS[filename])


@pytest.mark.parametrize("directory", ["blob", "archive", "replica"])
def test_directories_are_listed(site: Site, directory: str) -> None:
    listing = site.get(f"/{directory}/")
    assert (listing.status, listing.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for path in (site.store / directory).iterdir():
        assert f'href="{path.name}/"'.encode() in listing.body


def test_a_directory_without_its_slash_is_found_whatever_port_is_published(site: Site) -> None:
    answer = site.get("/archive", Host="bucket.example:8080")
    assert (answer.status, answer.headers["location"]) == (301, "/archive/")


def test_an_uploaded_index_page_does_not_hide_the_list(site: Site) -> None:
    listing = site.get(site.upload_of("index.html"))
    assert b'href="index.html"' in listing.body


def test_logs_are_shown_as_text(site: Site) -> None:
    answer = site.get(site.file("build.log"))
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_latest_leads_to_its_replica(site: Site) -> None:
    answer = site.get("/replica/user/bob/build.latest.log")
    assert (answer.status, answer.body) == (200, UPLOADS["build.log"])


def test_latest_is_sent_whole_each_time(site: Site) -> None:
    """Two versions of a size and a second look alike to nginx."""
    replica = site.get("/replica/user/bob/build.20261121.1432.0.log")
    known = {
        "If-None-Match": replica.headers["etag"],
        "If-Modified-Since": replica.headers["last-modified"],
        "Range": "bytes=0-2",
    }
    answer = site.get("/replica/user/bob/build.latest.log", **known)
    assert (answer.status, "etag" in answer.headers) == (200, False)
    assert site.get("/replica/user/bob/build.20261121.1432.0.log", **known).status == 304


def test_only_blobs_may_be_kept_for_ever(site: Site) -> None:
    blob = f"/{site.receipts['build.log']['path']['blob']}"
    paths = [blob, "/blob/", site.file("build.log"), "/replica/user/bob/build.latest.log"]
    kept = [site.get(path).headers["cache-control"] for path in paths]
    assert kept == [IMMUTABLE, "no-cache", "no-cache", "no-cache"]


def test_uploaded_pages_have_the_policy_that_the_server_gives_them(site: Site) -> None:
    headers = site.get(site.file("page.html")).headers
    assert headers["content-security-policy"] == CONTENT_POLICY
    assert headers["x-content-type-options"] == "nosniff"


def test_uploaded_pages_may_read_the_files_beside_them_but_no_list(site: Site) -> None:
    allowed = "access-control-allow-origin"
    assert site.get(site.file("build.log")).headers[allowed] == "*"
    for path in ("/archive/", site.upload_of("build.log"), "/none"):
        assert allowed not in site.get(path).headers


def test_lists_have_a_policy_that_lets_files_be_downloaded(site: Site) -> None:
    policy = site.get("/archive/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" not in policy


def test_a_range_is_sent(site: Site) -> None:
    answer = site.get(site.file("build.log"), Range="bytes=1-4")
    assert (answer.status, answer.body) == (206, b"INFO")


def test_the_store_has_what_must_not_be_shown(site: Site) -> None:
    assert (site.store / "private" / "index.sqlite3").is_file()
    assert (site.store / "bucket-layout").is_file()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/bucket-layout",
        "/private",
        "/private/",
        "/private/index.sqlite3",
        "//private/index.sqlite3",
        "/./private/index.sqlite3",
        "/%70rivate/index.sqlite3",
        "/blob/../private/index.sqlite3",
        "/blob/%2e%2e/private/index.sqlite3",
        "/blob/..%2fprivate/index.sqlite3",
        "/blob../private/index.sqlite3",
        "/blobs/",
        "/.git/config",
    ],
)
def test_nothing_else_is_served(site: Site, path: str) -> None:
    assert site.get(path).status == 404


@pytest.mark.parametrize(
    "path", ["/../etc/passwd", "/blob/../../etc/passwd", "/blob/..%2f..%2fetc"]
)
def test_a_path_out_of_the_store_is_refused(site: Site, path: str) -> None:
    assert site.get(path).status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "MKCOL"])
def test_nothing_can_be_changed(site: Site, method: str) -> None:
    path = site.file("build.log")
    assert site.get(path, method).status == 405
    assert site.get(path).body == UPLOADS["build.log"]
