"""Conditional and range requests, by RFC 9110, 13 and 14: each rule on each kind of path."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.builders import tar, tar_member
from tests.web.names.conftest import NewSite
from tests.web.names.site import Site

CONTENT = bytes(range(256)) * 4
SIZE = len(CONTENT)
#: The member's own time, and the header that tells it.
MTIME = 1_700_000_000
MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"
BEFORE, AFTER = "Tue, 14 Nov 2023 22:13:19 GMT", "Tue, 14 Nov 2023 22:13:21 GMT"


@pytest.fixture
def site(new_site: NewSite) -> Site:
    return new_site(in_memory=True)


@pytest.fixture
def member(site: Site) -> str:
    """The path of a file in a tree."""
    receipt = site.upload(tar(tar_member("x.bin", CONTENT, mtime=MTIME)), "results.tar")
    return f"/{receipt['path']['archive']}/x.bin"


@pytest.fixture
def etag(site: Site, member: str) -> str:
    return site.get(member, "HEAD").headers["ETag"]


RANGES = [
    ("bytes=0-0", (0, 1)),
    ("bytes=0-", (0, SIZE)),
    ("bytes=5-9", (5, 10)),
    ("BYTES=5-9", (5, 10)),
    ("bytes=1000-99999", (1000, SIZE)),
    (f"bytes={SIZE - 1}-", (SIZE - 1, SIZE)),
    ("bytes=-1", (SIZE - 1, SIZE)),
    ("bytes=-10", (SIZE - 10, SIZE)),
    ("bytes=-99999", (0, SIZE)),
]
IGNORED = [
    "bytes=0-0,5-9",
    "bytes=9-5",
    "bytes=",
    "bytes=-",
    "bytes=a-b",
    "bytes=1-2-3",
    "bytes=0x0-1",
    "lines=0-5",
    "0-5",
    "bytes 0-5",
    f"bytes={'9' * 5000}-",
]
BEYOND = [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=99999-", "bytes=-0"]


class TestRanges:
    @pytest.mark.parametrize(("asked", "span"), RANGES)
    def test_one_range_is_answered_with_it(
        self, site: Site, member: str, asked: str, span: tuple[int, int]
    ) -> None:
        answer = site.get(member, Range=asked)
        start, stop = span
        assert answer.status_code == 206
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
        assert answer.headers["Content-Length"] == str(stop - start)
        assert answer.get_data() == CONTENT[start:stop]

    @pytest.mark.parametrize("asked", IGNORED)
    def test_anything_else_is_answered_with_the_whole(
        self, site: Site, member: str, asked: str
    ) -> None:
        answer = site.get(member, Range=asked)
        assert answer.status_code == 200
        assert "Content-Range" not in answer.headers
        assert answer.get_data() == CONTENT

    @pytest.mark.parametrize("asked", BEYOND)
    def test_a_range_beyond_the_end_is_refused_with_the_size(
        self, site: Site, member: str, asked: str
    ) -> None:
        answer = site.get(member, Range=asked)
        assert answer.status_code == 416
        assert answer.headers["Content-Range"] == f"bytes */{SIZE}"
        assert "Cache-Control" in answer.headers

    def test_a_range_of_head_is_ignored(self, site: Site, member: str) -> None:
        answer = site.get(member, "HEAD", Range="bytes=0-5")
        assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(SIZE))

    @pytest.mark.parametrize(("asked", "status"), [("bytes=-5", 200), ("bytes=0-", 416)])
    def test_an_empty_file_has_no_ranges(self, site: Site, asked: str, status: int) -> None:
        receipt = site.upload(b"", "empty.txt")
        answer = site.get(f"{site.directory(receipt)}empty.txt", Range=asked)
        assert answer.status_code == status


class TestConditions:
    @pytest.mark.parametrize(
        ("asked", "status"),
        [
            ({"If-None-Match": "ETAG"}, 304),
            ({"If-None-Match": "W/ETAG"}, 304),
            ({"If-None-Match": '"other", ETAG'}, 304),
            ({"If-None-Match": "*"}, 304),
            ({"If-None-Match": '"other"'}, 200),
            ({"If-None-Match": '"other"', "If-Modified-Since": AFTER}, 200),
            ({"If-None-Match": "ETAG", "If-Modified-Since": BEFORE}, 304),
            ({"If-Modified-Since": MODIFIED}, 304),
            ({"If-Modified-Since": AFTER}, 304),
            ({"If-Modified-Since": BEFORE}, 200),
            ({"If-Modified-Since": "yesterday"}, 200),
            ({"If-Match": "ETAG"}, 200),
            ({"If-Match": "*"}, 200),
            ({"If-Match": '"other"'}, 412),
            ({"If-Match": "W/ETAG"}, 412),
            ({"If-Match": "ETAG", "If-Unmodified-Since": BEFORE}, 200),
            ({"If-Match": "ETAG", "If-None-Match": "ETAG"}, 304),
            ({"If-Unmodified-Since": MODIFIED}, 200),
            ({"If-Unmodified-Since": AFTER}, 200),
            ({"If-Unmodified-Since": BEFORE}, 412),
            ({"If-None-Match": "ETAG", "Range": "bytes=0-5"}, 304),
            ({"If-Match": '"other"', "Range": "bytes=99999-"}, 412),
            ({"Range": "bytes=0-5", "If-Range": "ETAG"}, 206),
            ({"Range": "bytes=0-5", "If-Range": '"other"'}, 200),
            ({"Range": "bytes=0-5", "If-Range": "W/ETAG"}, 200),
            ({"Range": "bytes=0-5", "If-Range": MODIFIED}, 200),
            ({"Range": "bytes=0-5", "If-Range": BEFORE}, 200),
            ({"Range": "bytes=0-5", "If-Range": AFTER}, 200),
            ({"Range": "bytes=0-5", "If-Range": "yesterday"}, 200),
            ({"Range": "bytes=99999-", "If-Range": '"other"'}, 200),
            ({"If-Range": "ETAG"}, 200),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_condition_is_answered(
        self, site: Site, member: str, method: str, asked: Mapping[str, str], status: int
    ) -> None:
        etag = site.get(member, "HEAD").headers["ETag"]
        headers = {name: value.replace("ETAG", etag) for name, value in asked.items()}
        answer = site.get(member, method, **headers)
        expected = 200 if method == "HEAD" and status == 206 else status
        assert answer.status_code == expected
        if expected in (200, 304):
            assert answer.headers["ETag"] == etag
            assert "Cache-Control" in answer.headers
        if expected == 304:
            assert answer.get_data() == b""
            assert "Content-Length" not in answer.headers
        elif method == "GET" and expected == 200:
            assert answer.get_data() == CONTENT

    def test_the_etag_is_the_digest_of_the_content(
        self, site: Site, member: str, etag: str
    ) -> None:
        digest = etag.strip('"')
        assert site.get(f"/blob/{digest}").get_data() == CONTENT
        assert site.get(f"/blob/{digest}", If_None_Match=etag).status_code == 304

    @pytest.mark.parametrize(
        ("method", "headers"), [("HEAD", {}), ("GET", {}), ("GET", {"Range": "bytes=0-5"})]
    )
    def test_every_answer_tells_the_digests_of_the_whole(
        self, site: Site, member: str, method: str, headers: Mapping[str, str]
    ) -> None:
        whole = site.get(member)
        answer = site.get(member, method, **headers)
        for name in ("Repr-Digest", "Digest", "Last-Modified", "Accept-Ranges"):
            assert answer.headers[name] == whole.headers[name]
        assert whole.headers["Last-Modified"] == MODIFIED


class TestZips:
    @pytest.fixture
    def zipped(self, site: Site, member: str) -> str:
        return member.removesuffix("x.bin") + "?zip"

    def test_a_zip_has_a_length_an_etag_and_ranges(self, site: Site, zipped: str) -> None:
        whole = site.get(zipped)
        assert whole.headers["Content-Length"] == str(len(whole.get_data()))
        assert site.get(zipped, "HEAD").headers["ETag"] == whole.headers["ETag"]
        part = site.get(zipped, Range="bytes=100-199", If_Range=whole.headers["ETag"])
        assert part.status_code == 206
        assert part.get_data() == whole.get_data()[100:200]
        size = len(whole.get_data())
        assert (
            site.get(zipped, Range=f"bytes={size}-").headers["Content-Range"] == f"bytes */{size}"
        )
        assert site.get(zipped, If_None_Match=whole.headers["ETag"]).status_code == 304

    def test_a_changed_directory_is_another_zip(self, site: Site) -> None:
        site.upload(b"one", "one.txt", Username="bob")
        first = site.get("/replica/user/bob/?zip")
        site.upload(b"two", "two.txt", Username="bob")
        again = site.get(
            "/replica/user/bob/?zip", Range="bytes=10-", If_Range=first.headers["ETag"]
        )
        assert again.status_code == 200
        assert again.headers["ETag"] != first.headers["ETag"]
