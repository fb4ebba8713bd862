"""What concerns the server as a whole: what it is, its configuration, its place below a prefix."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

import httpbucket
from httpbucket.storage.base import Space
from httpbucket.storage.memory import MemoryCapacity
from tests.examples import descriptor
from tests.web.conftest import LIMIT, MakeSite, Site
from tests.web.forms import CLOSING, MULTIPART, part, post, upload

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class TestFrontPage:
    def test_curl_is_told_what_this_is(self, client: FlaskClient) -> None:
        response = client.get("/", headers={"Accept": "*/*"})
        assert response.text == "http-bucket server\n"
        assert response.mimetype == "text/plain"

    def test_a_browser_gets_a_page(self, client: FlaskClient) -> None:
        response = client.get("/", headers=BROWSER)
        assert (response.status_code, response.mimetype) == (200, "text/html")
        assert "curl -F" in response.text

    def test_caches_are_told_that_both_differ(self, client: FlaskClient) -> None:
        for headers in ({}, BROWSER):
            assert client.get("/", headers=headers).headers["Vary"] == "Accept"


class TestStats:
    def test_they_tell_what_is_kept_and_how_much_room_is_left(self, site: Site) -> None:
        stores = replace(site.stores, capacity=MemoryCapacity(Space(1000, 400, 50)))
        client = site.rebuilt(stores).client
        for name in ("a.txt", "b.txt"):
            upload(client, b"equal", name)
        answer = client.get("/stats")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.get_json() == {
            "uploads": 2,
            "upload_size": 10,
            "blobs": 1,
            "blob_size": 5,
            "saved_size": 5,
            "complete": True,
            "space": {"total": 1000, "free": 400, "total_names": 50, "free_names": None},
        }

    def test_room_that_nobody_knows_is_null(self, client: FlaskClient) -> None:
        answer = client.get("/stats").get_json()
        assert (answer["uploads"], answer["space"]) == (0, None)

    @pytest.mark.parametrize(
        ("space", "warnings"),
        [
            (Space(1000, 50, 1000, 50), 0),
            (Space(1000, 49, 1000, 50), 1),
            (Space(1000, 49, 1000, 0), 2),
            (Space(0, 0), 0),
        ],
    )
    def test_the_page_says_when_little_room_is_left(
        self, site: Site, space: Space, warnings: int
    ) -> None:
        client = site.rebuilt(replace(site.stores, capacity=MemoryCapacity(space))).client
        assert client.get("/", headers=BROWSER).text.count("nearly full") == warnings


class TestConfiguration:
    def test_it_says_what_a_client_should_know(self, make_site: MakeSite) -> None:
        site = make_site(
            ARCHIVE_DIR="/srv/bucket",
            ARCHIVE_URI="https://files.example",
            MAX_CONTENT_LENGTH="10mb",
            REPLICATE_0="user/${USERNAME}",
        )
        configuration = site.client.get("/config").get_json()
        assert configuration["version"] == httpbucket.__version__
        assert configuration["MAX_CONTENT_LENGTH"] == 10 * 1024**2
        assert configuration["ARCHIVE_DIR"] == "/srv/bucket"
        assert configuration["ARCHIVE_URI"] == "https://files.example"
        assert configuration["CHECKSUM_TYPE"] == "md5"
        assert configuration["REPLICATES"] == ["user/${USERNAME}"]
        assert configuration["UNPACK_MAX_BYTES"] == 2 * 1024**3

    def test_it_shows_no_setting_that_is_not_meant_for_clients(self, client: FlaskClient) -> None:
        shown = set(client.get("/config").get_json())
        assert all(
            not name.startswith(("SECRET", "TOKEN", "PASSWORD", "HOST", "PORT")) for name in shown
        )


def test_a_ping_is_answered(client: FlaskClient) -> None:
    response = client.get("/ping")
    assert (response.status_code, response.text.strip()) == (200, "pong")


class TestForm:
    def test_it_works_without_javascript(self, client: FlaskClient) -> None:
        page = client.get("/upload", headers=BROWSER).text
        assert 'method="post"' in page
        assert 'enctype="multipart/form-data"' in page
        assert 'name="file"' in page
        assert " hidden>or drop files" in page

    def test_its_script_comes_from_us_and_none_is_inline(self, client: FlaskClient) -> None:
        page = client.get("/upload", headers=BROWSER).text
        assert re.findall(r"<script[^>]*>", page) == [
            '<script src="/static/upload.js" type="module">'
        ]
        assert " style=" not in page
        with client.get("/static/upload.js") as script:
            assert script.mimetype == "text/javascript"

    def test_it_has_a_field_for_each_header_of_the_templates(self, make_site: MakeSite) -> None:
        site = make_site(
            REPLICATE_0="user/${USERNAME}/${TOPIC}", REPLICATE_1="build/${topic}-${BUILD-ID}"
        )
        page = site.client.get("/upload", headers=BROWSER).text
        fields = re.findall(
            r'<label for="([^"]+)">[^<]+</label> <input id="\1" name="([^"]+)"', page
        )
        assert [name for _, name in fields] == ["Username", "Topic", "Build-Id"]

    def test_it_shows_where_templates_lead(self, make_site: MakeSite) -> None:
        site = make_site(REPLICATE_0="build/nightly-${BUILD-ID}")
        page = site.client.get("/upload", headers=BROWSER).text
        place = '<var data-header="Build-Id">Build-Id</var>'
        assert f"<code>replica/build/nightly-{place}/</code>" in page

    def test_its_fields_make_a_replica(self, make_site: MakeSite) -> None:
        site = make_site(REPLICATE_0="build/${BUILD-ID}")
        field = part(b"7", disposition='name="Build-Id"')
        receipt = post(site.client, field, part(b"x")).get_json()
        assert receipt["path"]["replicas"] == ["replica/build/7/f.20261121.1432.0.txt"]

    def test_without_templates_it_has_no_fields(self, client: FlaskClient) -> None:
        assert "<fieldset" not in client.get("/upload", headers=BROWSER).text

    def test_it_knows_the_limit_and_the_sentence_of_its_refusal(self, site: Site) -> None:
        page = site.client.get("/upload", headers=BROWSER).text
        refusal = upload(site.client, bytes(LIMIT + 1)).get_json()["error"]
        assert f'data-limit="{LIMIT}" data-too-large="{refusal}"' in page

    def test_it_is_html_for_everyone(self, client: FlaskClient) -> None:
        assert client.get("/upload").mimetype == "text/html"


class TestHeaders:
    @pytest.mark.parametrize("path", ["/", "/upload", "/config", "/nothing", "/static/style.css"])
    def test_pages_are_protected(self, client: FlaskClient, path: str) -> None:
        headers = client.get(path, headers=BROWSER, buffered=True).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "same-origin"
        assert "Set-Cookie" not in headers

    def test_the_host_that_a_client_claims_leads_nowhere(self, client: FlaskClient) -> None:
        response = client.get("/checksum/" + "0" * 32, headers={"Host": "evil.example", **BROWSER})
        assert "evil.example" not in response.text


class TestBelowAPrefix:
    def test_links_and_redirects_stay_below_it(self, site: Site) -> None:
        client, base = site.client, "http://localhost/bucket"
        posted = client.post(
            "/upload",
            base_url=base,
            data=part(b"content") + CLOSING,
            content_type=MULTIPART,
            headers=BROWSER,
        )
        assert posted.headers["Location"].startswith("/bucket/uploads/")
        blob = descriptor(b"content")
        found = client.get(f"/checksum/{blob.digests['md5']}", base_url=base)
        assert found.headers["Location"] == f"/bucket/blob/{blob.sha256.hex}"
        page = client.get("/upload", base_url=base, headers=BROWSER).text
        assert 'action="/bucket/upload"' in page
        assert 'href="/bucket/static/style.css"' in page
        assert "http://localhost/bucket/upload" in page

    def test_head_of_a_checksum_says_that_no_body_comes(self, site: Site) -> None:
        response = site.client.head("/checksum/x", base_url="http://localhost/bucket")
        assert (response.status_code, response.headers["Content-Length"]) == (400, "0")

    def test_every_link_of_a_page_stays_below_it(self, site: Site) -> None:
        page = site.client.get("/", base_url="http://localhost/bucket", headers=BROWSER).text
        links = [piece.split('"')[0] for piece in page.split('href="')[1:]]
        assert links
        assert all(link.startswith(("/bucket/", "#")) for link in links)
