"""``GET /uploads`` and the form on the first page."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.builders import tar, tar_member
from tests.docs.pages import fields_below, reference
from tests.web.names.conftest import NewSite
from tests.web.names.site import Site
from tests.web.names.test_pages import EVIL, page


@pytest.fixture(params=[True, False], ids=["memory", "local"])
def site(request: pytest.FixtureRequest, new_site: NewSite) -> Site:
    return new_site(in_memory=request.param)


def search(site: Site, query: str = "") -> dict[str, Any]:
    answer = site.get(f"/uploads{query}")
    assert (answer.status_code, answer.mimetype) == (200, "application/json"), answer.get_data()
    found: dict[str, Any] = json.loads(answer.get_data())
    return found


def names(site: Site, query: str) -> list[str]:
    return [upload["filename"] for upload in search(site, query)["uploads"]]


def test_an_upload_is_told_with_the_fields_that_the_reference_explains(site: Site) -> None:
    receipt = site.upload(b"<results/>", Username="bob")
    answer = search(site)
    (found,) = answer.pop("uploads")
    assert {key: found[key] for key in receipt["upload"]} == receipt["upload"]
    assert (found["path"], found["headers"]) == (receipt["path"], {"username": "bob"})
    assert answer == {"next": None, "complete": True}
    more = set(found) - set(receipt["upload"])
    told = {*answer, "uploads[]", *(f"uploads[].{name}" for name in more)}
    assert fields_below(reference("search"), "Answer") == told


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["b.log", "A.xml"]),
        ("?name=a.X", ["A.xml"]),
        ("?name=&since=&digest=", ["b.log", "A.xml"]),
        ("?header.Username=bob", ["A.xml"]),
        ("?header.username=BOB", []),
        ("?header.meta-run=7%208", ["b.log"]),
        ("?since=2020-01-01", ["b.log", "A.xml"]),
        ("?since=9999-12-31T00:00:00%2B01:00", []),
        ("?name=b&header.username=bob", []),
        ("?limit=1", ["b.log"]),
        ("?limit=9999", ["b.log", "A.xml"]),
    ],
)
def test_uploads_that_fit_are_found(site: Site, query: str, expected: list[str]) -> None:
    site.upload(b"<one/>", "A.xml", Username="bob")
    site.upload(b"other", "b.log", **{"Meta-Run": "7 8"})
    assert names(site, query) == expected


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
@pytest.mark.parametrize("form", ["{0}:{1}", "{1}"])
def test_a_content_is_found_by_every_recorded_digest(site: Site, algorithm: str, form: str) -> None:
    hex_ = site.upload(b"inside", "alone.txt")["upload"]["digests"][algorithm]
    site.upload(tar(tar_member("a.txt", b"inside")), "results.tar")
    site.upload(b"other", "b.log")
    found = names(site, f"?digest={form.format(algorithm, hex_)}")
    assert found == ["results.tar", "alone.txt"]
    assert names(site, f"?digest={algorithm}:{'0' * len(hex_)}") == []


def test_each_answer_leads_to_the_next(site: Site) -> None:
    for number in range(5):
        site.upload(b"<results/>", f"{number} & ü.xml", Username="bob")
    query, seen = f"?name={quote('& ü')}&limit=2&header.username=bob", []
    while query:
        answer = site.get(f"/uploads{query}")
        found = json.loads(answer.get_data())
        seen += [upload["filename"][0] for upload in found["uploads"]]
        query = found["next"]
        assert answer.headers.get("Link") == (f'<{query}>; rel="next"' if query else None)
    assert seen == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?nmae=x", "There is no parameter 'nmae'"),
        ("?header.=x", "There is no parameter 'header.'"),
        ("?name=a&name=b", "name is given 2 times"),
        ("?since=yesterday", "since is 'yesterday'"),
        ("?since=2026-13-01", "since is '2026-13-01'"),
        ("?since=0001-01-01T00:00:00%2B14:00", "since is"),
        ("?limit=0", "limit is a whole number"),
        ("?limit=-1", "limit is a whole number"),
        ("?limit=%D9%A1", "limit is a whole number"),
        ("?limit=" + "9" * 5000, "limit is a whole number"),
        ("?cursor=x", "cursor is not one"),
        ("?digest=xyz", "is not a hexadecimal digest"),
        ("?digest=nothing:00", "names no digest algorithm"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(
    site: Site, query: str, sentence: str
) -> None:
    answer = site.get(f"/uploads{query}")
    assert answer.status_code == 400
    assert sentence in json.loads(answer.get_data())["error"]


def test_a_search_while_the_index_is_rebuilt_says_so(site: Site) -> None:
    site.stores.index.mark_incomplete()
    assert search(site)["complete"] is False
    assert "The index is being rebuilt" in page(site, "/")


def test_the_first_page_has_the_same_filters(site: Site) -> None:
    site.upload(b"<one/>", "A.xml", Username="bob")
    site.upload(b"other", "b.log", Username="eve")
    text = page(site, "/?name=&header.username=bob&since=2020-01-01")
    assert ">A.xml</a>" in text
    assert ">b.log</a>" not in text
    assert 'name="header.username" value="bob"' in text
    assert "No upload fits." in page(site, "/?name=c")


def test_what_was_looked_for_is_shown_as_text(site: Site) -> None:
    for parameter in ("name", "header.username"):
        text = page(site, f"/?{parameter}={quote(EVIL)}")
        assert "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;.xml" in text


def test_a_search_that_cannot_be_read_is_refused_on_a_page_too(site: Site) -> None:
    answer = site.get("/?since=yesterday", Accept="text/html")
    assert (answer.status_code, answer.mimetype) == (400, "text/html")
