"""Where pages say that the server is, and where they link what is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from io import BytesIO

import pytest
from werkzeug.test import TestResponse

from tests.builders import tar, tar_member
from tests.web.names.conftest import NewSite
from tests.web.names.site import Site

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PUBLIC = "https://ci.example/bucket"
FILES = "https://files.example"
THERE = {"Host": "files.example"}
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"


def page(site: Site, path: str, **headers: str) -> str:
    answer = site.get(path, **BROWSER | headers)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    return answer.get_data().decode()


def ask_by_proxy(
    site: Site, peer: str, headers: Mapping[str, str], path: str = "/"
) -> TestResponse:
    return site.client.get(path, headers=headers, environ_overrides={"REMOTE_ADDR": peer})


def links(text: str) -> set[str]:
    return set(re.findall(r'\b(?:href|src|action|data-content)="([^"]*)"', text))


class Kept:
    """A site with an upload that has one of everything, and the paths of that."""

    def __init__(self, site: Site) -> None:
        self.site = site
        packed = tar(
            *(tar_member(name, b"<p>") for name in ("a b.html", "index.html", "sub/x.txt")),
            tar_member("i.png", PNG),
        )
        receipt = site.upload(packed, "report.tar", Username="bob")
        self.id = receipt["upload"]["id"]
        self.directory = site.directory(receipt)
        self.tree = f"/{receipt['path']['archive']}/"
        self.blob = f"/{receipt['path']['blob']}"
        self.digests = receipt["upload"]["digests"]

    def pages(self) -> list[str]:
        """The addresses of one page of every kind."""
        return [
            *("/", "/upload", f"/uploads/{self.id}", "/archive/", self.tree, "/replica/"),
            *(f"{self.tree}a%20b.html?view", f"{self.tree}i.png?view", "/nothing"),
        ]


class TestPublicUrl:
    def test_it_is_what_lines_to_copy_begin_with(self, new_site: NewSite) -> None:
        kept = Kept(new_site(in_memory=True, environ={"PUBLIC_URL": f"{PUBLIC}/"}))
        shown = [page(kept.site, path, Host="evil.example") for path in kept.pages()[:-1]]
        assert [text for text in shown if "evil.example" in text] == []
        assert f"curl -F file=@results.xml {PUBLIC}/upload" in shown[0]
        assert f"curl --head {PUBLIC}/checksum/$(" in shown[0]
        assert f"curl -F file=@results.xml {PUBLIC}/upload" in shown[1]
        assert f"curl -OJ '{PUBLIC}{kept.directory}report?zip'" in shown[2]
        assert f"curl -OJ '{PUBLIC}{kept.tree}?zip'" in shown[4]

    def test_without_it_lines_begin_with_where_the_request_came(self, new_site: NewSite) -> None:
        site = new_site(in_memory=True)
        for host in ("localhost:5000", "my_bucket:5000", "[::1]:5000"):
            assert f" http://{host}/upload" in page(site, "/", Host=host)
        # What is no host is not shown, quotes and all.
        assert " http://localhost/upload" in page(site, "/", Host="x;$(id)")

    @pytest.mark.parametrize("path", ["/archive", "/archive//x/", "/archive/%2f/x"])
    def test_a_redirect_never_names_the_host_of_the_request(
        self, new_site: NewSite, path: str
    ) -> None:
        site = new_site(in_memory=True)
        answer = site.get(path, Host="evil.example")
        location = answer.headers.get("Location", "/")
        assert location.startswith("/")
        assert not location.startswith("//")
        assert b"http://evil.example" not in answer.get_data()

    def test_a_redirect_keeps_prefix_and_query(self, new_site: NewSite) -> None:
        site = new_site(in_memory=True)
        base = {"SCRIPT_NAME": "/bucket"}
        with site.client.get("/archive?json&a=%20", environ_overrides=base) as answer:
            assert answer.headers["Location"] == "/bucket/archive/?json&a=%20"


class TestProxies:
    def test_what_a_trusted_proxy_says_is_in_links_and_lines(self, new_site: NewSite) -> None:
        said = {
            "X-Forwarded-Host": "ci.example",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Prefix": "/bucket",
        }
        site = new_site(in_memory=True, environ={"TRUSTED_PROXIES": "192.0.2.1"})
        with ask_by_proxy(site, "192.0.2.1", BROWSER | said) as answer:
            text = answer.get_data().decode()
        assert f"curl -F file=@results.xml {PUBLIC}/upload" in text
        assert 'href="/bucket/upload"' in text
        with ask_by_proxy(site, "192.0.2.2", BROWSER | said) as answer:
            text = answer.get_data().decode()
        assert "curl -F file=@results.xml http://localhost/upload" in text
        assert 'href="/upload"' in text


@pytest.fixture
def kept(new_site: NewSite) -> Kept:
    return Kept(new_site(in_memory=True, environ={"CONTENT_ORIGIN": FILES}))


class TestContentOriginInPages:
    def test_every_link_to_a_file_leads_there_and_no_other(self, kept: Kept) -> None:
        found = set().union(*(links(page(kept.site, path)) for path in kept.pages()[:-1]))
        there = {link.removeprefix(FILES) for link in found if link.startswith(FILES)} - {"/"}
        names = {link.rpartition("/")[2] for link in there}
        assert names == {"report.tar", "a%20b.html", "index.html", "i.png"}
        assert [kept.site.get(path, **THERE).status_code for path in there] == [200] * len(there)
        here = {link for link in found if not link.startswith(FILES) and "?view" not in link}
        assert {link for link in here if link.rpartition("/")[2] in names} == set()

    def test_pages_allow_its_images(self, kept: Kept) -> None:
        for path in kept.pages():
            policy = kept.site.get(path, **BROWSER).headers["Content-Security-Policy"]
            assert f"img-src 'self' {FILES};" in policy
        assert f'<img src="{FILES}{kept.tree}i.png"' in page(kept.site, f"{kept.tree}i.png?view")

    def test_programs_that_follow_links_stay_where_they_are(self, kept: Kept) -> None:
        listing = kept.site.get(kept.tree, Accept="*/*").get_data().decode()
        assert FILES not in listing
        assert 'href="a%20b.html"' in listing

    def test_the_prefix_is_in_its_links(self, kept: Kept) -> None:
        with kept.site.client.get(
            kept.tree, headers=BROWSER, environ_overrides={"SCRIPT_NAME": "/bucket"}
        ) as answer:
            assert f'href="{FILES}/bucket{kept.tree}index.html"' in answer.get_data().decode()

    def test_files_are_still_served_with_the_pages_and_sandboxed(self, kept: Kept) -> None:
        answer = kept.site.get(f"{kept.tree}index.html")
        assert answer.get_data() == b"<p>"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox ")


class TestContentOrigin:
    @pytest.mark.parametrize("host", ["files.example", "FILES.example:443", "files.example."])
    def test_it_serves_files_as_they_are_served_elsewhere(self, kept: Kept, host: str) -> None:
        for path in (f"{kept.tree}index.html", f"{kept.tree}sub/x.txt", kept.blob):
            for method in ("GET", "HEAD"):
                there = kept.site.get(path, method, Host=host)
                here = kept.site.get(path, method)
                assert (there.status_code, there.get_data()) == (200, here.get_data())
                assert dict(there.headers) == dict(here.headers)
        etag = kept.site.get(kept.blob).headers["ETag"]
        assert kept.site.get(kept.blob, If_None_Match=etag, **THERE).status_code == 304
        part = kept.site.get(f"{kept.tree}index.html", Range="bytes=1-1", **THERE)
        assert (part.status_code, part.get_data()) == (206, b"p")

    def test_any_digest_leads_to_its_bytes(self, kept: Kept) -> None:
        answer = kept.site.get(f"/blob/{kept.digests['md5']}", **THERE)
        assert (answer.status_code, answer.headers["Location"]) == (
            302,
            f"/blob/{kept.digests['sha256']}",
        )

    def test_it_serves_nothing_else(self, kept: Kept) -> None:
        tree = kept.tree
        paths = [
            *kept.pages(),
            *("/config", "/ping", "/uploads", f"/uploads/{kept.id}?json", "/static/style.css"),
            *(f"/checksum/{kept.digests['md5']}", "/archive", "/replica", "/blob/"),
            *(f"{tree}?json", f"{tree}?simple", f"{tree}?zip", f"{tree}?tar", f"{tree}SHA256SUMS"),
            *(tree.rstrip("/"), f"{tree}sub", f"{tree}sub/", f"{tree}index.html?view=text"),
        ]
        for path in paths:
            for method in ("GET", "HEAD"):
                answer = kept.site.get(path, method, **THERE, **BROWSER)
                assert (path, answer.status_code) == (path, 404)
                assert (answer.mimetype or "application/json") == "application/json"
                assert "Access-Control-Allow-Origin" not in answer.headers

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
    def test_it_takes_nothing(self, kept: Kept, method: str) -> None:
        for path in ("/upload", "/tus/", "/tus/x", f"{kept.tree}index.html", kept.blob, "/"):
            assert kept.site.get(path, method, **THERE).status_code == 404
        form = {"file": (BytesIO(b"x"), "x.txt")}
        with kept.site.client.post("/upload", data=form, headers=THERE) as answer:
            assert answer.status_code == 404
        assert len(kept.site.uploads()) == 1

    def test_its_refusals_are_no_pages(self, kept: Kept) -> None:
        answer = kept.site.get(f"{kept.tree}none", **THERE, **BROWSER)
        assert json.loads(answer.get_data())["problem"] == "name-not-found"

    @pytest.mark.parametrize(
        ("contents", "public", "host", "is_there"),
        [
            ("http://bucket:8080", "", "bucket:8080", True),
            ("http://bucket:8080", "", "bucket:5000", False),
            ("http://bucket:8080", "", "bucket", False),
            ("http://bucket:8080", "http://bucket:5000", "bucket", False),
            ("http://files:8080", "http://bucket:5000", "files", True),
            ("http://files:8080", "http://bucket:5000", "files:81", True),
            ("http://files:8080", "http://bucket:5000", "bucket:8080", False),
            ("https://files", "", "files:80", True),
        ],
    )
    def test_host_and_port_tell_it_from_the_pages(
        self, new_site: NewSite, contents: str, public: str, host: str, *, is_there: bool
    ) -> None:
        environ = {"CONTENT_ORIGIN": contents, "PUBLIC_URL": public}
        site = new_site(in_memory=True, environ=environ)
        assert site.get("/config", Host=host).status_code == (404 if is_there else 200)

    def test_a_trusted_proxy_may_name_its_host(self, new_site: NewSite) -> None:
        environ = {"CONTENT_ORIGIN": FILES, "TRUSTED_PROXIES": "192.0.2.1"}
        site = new_site(in_memory=True, environ=environ)
        said = {"X-Forwarded-Host": "files.example"}
        for peer, status in (("192.0.2.1", 404), ("192.0.2.2", 200)):
            with ask_by_proxy(site, peer, said, "/config") as answer:
                assert answer.status_code == status
