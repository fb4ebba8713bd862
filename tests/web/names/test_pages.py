"""Pages for people: what they show, and that they show it as text."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.builders import tar, tar_member
from tests.examples import file_of
from tests.web.names.conftest import NewSite
from tests.web.names.site import Site

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVIL = "<img src=x onerror=alert(1)>\"'.xml"


@pytest.fixture
def site(new_site: NewSite) -> Site:
    return new_site(in_memory=True)


def page(site: Site, path: str) -> str:
    answer = site.get(path, **BROWSER)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none';")
    text = answer.get_data().decode()
    assert "<script" not in text
    assert "<img" not in text
    return text


def test_the_first_page_shows_the_newest_uploads_and_leads_to_older_ones(site: Site) -> None:
    for number in range(26):
        site.upload(b"<results/>", f"{number:02}.xml")
    uploads = site.uploads()
    first = page(site, "/")
    shown = [file_of(record).name for record in uploads if f"/uploads/{record.id}" in first]
    assert shown == [file_of(record).name for record in uploads[:25]]
    older = page(site, f"/?cursor={uploads[24].id}")
    assert f"/uploads/{uploads[25].id}" in older
    assert f"/uploads/{uploads[24].id}" not in older
    assert f'href="/?cursor={uploads[24].id}#uploads"' in first


def test_an_empty_store_says_so(site: Site) -> None:
    assert "None yet." in page(site, "/")
    assert "Nothing is here yet." in page(site, "/archive/")


def test_curl_gets_the_text_that_it_always_got(site: Site) -> None:
    site.upload(b"<results/>")
    assert site.get("/", Accept="*/*").get_data() == b"http-bucket server\n"


def test_an_upload_shows_where_everything_of_it_lies(site: Site) -> None:
    packed = gzip.compress(tar(tar_member("a.txt", b"hello"), tar_member("l", kind=b"2")))
    receipt = site.upload(packed, "results.tgz", Username="bob")
    text = page(site, f"/uploads/{receipt['upload']['id']}")
    directory = site.directory(receipt)
    for path in (directory, f"{directory}results.tgz", f"{directory}results.tar"):
        assert f'href="{path}"' in text
    assert f'href="{directory}results/"' in text
    assert f'href="/{receipt["path"]["replicas"][0]}/"' in text
    assert receipt["upload"]["digests"]["sha256"] in text
    assert "link-left-out" in text
    assert f"curl -OJ &#39;http://localhost{directory}results?zip&#39;" in text.replace(
        "'http", "&#39;http"
    ).replace("zip'", "zip&#39;")


def test_a_directory_shows_the_way_back_and_its_upload(site: Site) -> None:
    receipt = site.upload(tar(tar_member("sub/index.html", b"<p>")), "results.tar")
    text = page(site, f"/{receipt['path']['archive']}/sub/")
    assert f'href="/uploads/{receipt["upload"]["id"]}"' in text
    assert '<a href="../../../../../../">archive</a>' in text
    assert '<a href="../">results</a>' in text
    assert '<a class="button" href="index.html">Open the report</a>' in text


@pytest.mark.parametrize("name", [EVIL, "'; rm -rf ~; '.xml"])
def test_a_name_is_text_on_every_page_and_safe_to_paste(site: Site, name: str) -> None:
    receipt = site.upload(b"<results/>", name, Username=name)
    upload = page(site, f"/uploads/{receipt['upload']['id']}")
    assert "rm -rf ~; '.xml" not in upload.partition("From a shell")[2]
    for path in ("/", site.directory(receipt), "/replica/user/"):
        page(site, path)


@pytest.mark.parametrize("path", ["/", "/upload", "/archive/"])
def test_links_lie_under_the_prefix_of_the_server(site: Site, path: str) -> None:
    receipt = site.upload(b"<results/>", Username="bob")
    for shown in (path, f"/uploads/{receipt['upload']['id']}"):
        answer = site.client.get(
            shown, headers=BROWSER, environ_overrides={"SCRIPT_NAME": "/bucket"}
        )
        text = answer.get_data().decode()
        answer.close()
        links = [part.partition('"')[0] for part in text.split('href="')[1:]]
        rooted = [link for link in links if link.startswith("/")]
        assert rooted
        assert all(link.startswith("/bucket/") for link in rooted)


def test_the_first_page_says_what_the_store_holds(new_site: NewSite) -> None:
    site = new_site()
    for _ in range(3):
        site.upload(bytes(2048), "same.bin")
    text = re.sub(r"<[^>]+>|\s+", " ", page(site, "/"))
    shown = " ".join(text.split())
    assert "Uploads 3 6 kB" in shown
    assert "Different files 1 2 kB, 4 kB saved" in shown
    assert re.search(r"Free space [\d.]+ \w+ of [\d.]+ [kMGT]B", shown)


def test_room_that_nobody_knows_is_not_shown(site: Site) -> None:
    assert "Free space" not in page(site, "/")
