"""The same rules of RFC 9110 under every kind of address that bytes have."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from werkzeug.test import TestResponse

from tests.builders import tar, tar_member
from tests.web.names.conftest import NewSite
from tests.web.names.site import Site

LOG = b"a line of a log\n" * 100
LATER, EARLIER = "Fri, 01 Jan 2100 00:00:00 GMT", "Sun, 01 Jan 1995 00:00:00 GMT"

KINDS = [
    *("blob", "blob path", "uploaded file", "member", "replica", "latest", "latest member"),
    *("stored gzip", "record", "zip", "somebody else's"),
]
#: What has no time of its own, and what has only a weak validator.
UNDATED, WEAK = {"blob", "blob path", "zip"}, {"somebody else's", "record"}


@dataclass(frozen=True)
class Kind:
    """An address, and the headers without which it would be another representation."""

    site: Site
    path: str
    headers: Mapping[str, str]

    def ask(self, method: str = "GET", **headers: str) -> TestResponse:
        return self.site.get(self.path, method, **self.headers, **headers)


@pytest.fixture(params=KINDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def kind(name: str, new_site: NewSite) -> Kind:
    site = new_site()
    packed = site.upload(tar(tar_member("x.log", LOG)), "t.tar", Username="bob")
    zipped = site.upload(gzip.compress(LOG), "a.log.gz")
    plain = site.upload(LOG, "b.log", Username="bob")
    sha256 = plain["upload"]["digests"]["sha256"]
    (site.root / "replica" / "theirs.log").write_bytes(LOG)
    paths = {
        "blob": f"/blob/{sha256}",
        "blob path": f"/{plain['path']['blob']}",
        "uploaded file": f"{site.directory(plain)}b.log",
        "member": f"/{packed['path']['archive']}/x.log",
        "replica": f"/{plain['path']['replicas'][0]}",
        "latest": "/replica/user/bob/b.latest.log",
        "latest member": "/replica/user/bob/t.latest/x.log",
        "stored gzip": f"{site.directory(zipped)}a.log",
        "record": f"{site.directory(plain)}.upload.json",
        "zip": f"/{packed['path']['archive']}/?zip",
        "somebody else's": "/replica/theirs.log",
    }
    headers = {"Accept-Encoding": "gzip"} if name == "stored gzip" else {}
    return Kind(site, paths[name], headers)


def test_head_says_what_get_says(kind: Kind) -> None:
    get, head = kind.ask(), kind.ask("HEAD")
    assert (get.status_code, head.status_code, head.get_data()) == (200, 200, b"")
    assert dict(head.headers) == dict(get.headers)
    assert get.headers["Content-Length"] == str(len(get.get_data()))
    assert get.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_a_client_has_is_304_with_what_caches_need(kind: Kind, name: str, method: str) -> None:
    whole = kind.ask()
    conditions = [{"If-None-Match": whole.headers["ETag"]}, {"If-None-Match": "*"}]
    if name not in UNDATED:
        conditions += [{"If-Modified-Since": LATER}]
    for condition in conditions:
        answer = kind.ask(method, **condition)
        assert (answer.status_code, answer.get_data()) == (304, b"")
        # RFC 9110, 15.4.5: as the 200 would have said.
        for field in ("ETag", "Cache-Control", "Vary"):
            assert answer.headers.get(field) == whole.headers.get(field)
        assert "Content-Length" not in answer.headers
        assert "Content-Range" not in answer.headers
    assert kind.ask(method, If_None_Match='"other"').status_code == 200
    assert kind.ask(method, If_Modified_Since=EARLIER).status_code == 200


def test_a_range_is_206_with_what_the_whole_says(kind: Kind) -> None:
    whole = kind.ask()
    size = len(whole.get_data())
    spans = {"bytes=0-0": (0, 1), "bytes=5-": (5, size), "bytes=-3": (size - 3, size)}
    for asked, (start, stop) in spans.items():
        part = kind.ask(Range=asked)
        assert (part.status_code, part.get_data()) == (206, whole.get_data()[start:stop])
        assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
        assert part.headers["Content-Length"] == str(stop - start)
        for field in ("ETag", "Cache-Control", "Vary", "Content-Type", "Content-Encoding"):
            assert part.headers.get(field) == whole.headers.get(field)
    for asked in ("bytes=0-0,2-2", "bytes=2-1", "lines=0-0"):
        assert kind.ask(Range=asked).get_data() == whole.get_data()


def test_a_range_of_what_is_no_longer_there_is_the_whole(kind: Kind, name: str) -> None:
    etag = kind.ask().headers["ETag"]
    same = kind.ask(Range="bytes=0-0", If_Range=etag).status_code
    assert same == (200 if name in WEAK else 206)
    assert kind.ask(Range="bytes=0-0", If_Range='"other"').status_code == 200


@pytest.mark.parametrize("asked", ["bytes=9999999-", "bytes=9999999-99999999", "bytes=-0"])
def test_a_range_beyond_the_end_is_416_with_the_size(kind: Kind, asked: str) -> None:
    size = len(kind.ask().get_data())
    answer = kind.ask(Range=asked)
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert answer.headers["Cache-Control"] == "no-store"
    assert kind.ask("HEAD", Range=asked).status_code == 200


def test_a_precondition_that_fails_is_412_before_any_range(kind: Kind, name: str) -> None:
    etag = kind.ask().headers["ETag"]
    for method in ("GET", "HEAD"):
        assert kind.ask(method, If_Match='"other"', Range="bytes=9999999-").status_code == 412
        assert kind.ask(method, If_Match=etag).status_code == (412 if name in WEAK else 200)
        assert kind.ask(method, If_Match="*").status_code == 200
        since = kind.ask(method, If_Unmodified_Since=EARLIER).status_code
        assert since == (200 if name in UNDATED else 412)


def test_what_is_not_there_is_404_alike(kind: Kind) -> None:
    path = kind.path.partition("?")[0].rstrip("/")
    missing = path[:-1] + ("1" if path.endswith("0") else "0")
    for headers in ({}, {"If-None-Match": "*"}, {"Range": "bytes=0-"}, {"If-Match": "*"}):
        get = kind.site.get(missing, **headers)
        head = kind.site.get(missing, "HEAD", **headers)
        assert (get.status_code, head.status_code, head.get_data()) == (404, 404, b"")
        assert dict(head.headers) == dict(get.headers)
        assert "Access-Control-Allow-Origin" not in get.headers
