"""What our own pages may do in a browser: every page, by its policy and by what is in it."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.builders import tar, tar_member
from tests.content.test_junit import REPORT
from tests.web.names.conftest import NewSite
from tests.web.names.site import Site
from tests.web.names.test_file_pages import PNG

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
EVIL_NAME = "<img src=x onerror=alert(1)>\"'.tgz"
PAGES = [
    *("/", f"/?name={EVIL}", f"/?digest={EVIL}", f"/?since={EVIL}", f"/?cursor={EVIL}"),
    *("/upload", "/uploads/{id}", "/archive/", "/replica/user/", "{upload}", "{tree}"),
    *("{tree}evil/", "{tree}a.log?view", "{tree}a.json?view", "{tree}a.json?view=text"),
    *("{tree}junit.xml?view", "{tree}i.png?view", "{tree}page.html?view", "{tree}empty?view"),
    *(f"/{EVIL}", f"/archive/{EVIL}", f"/uploads/{EVIL}", f"/blob/{EVIL}", "{tree}none?view"),
]
SCRIPTED = {"/upload"}
COMMON = {
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


@pytest.fixture
def site(new_site: NewSite) -> Site:
    return new_site(in_memory=True)


@pytest.fixture
def places(site: Site) -> dict[str, str]:
    """Where the parts of an upload lie that has one of everything."""
    members = {
        "a.log": b"\x1b[31mred\x1b[0m <script>",
        "a.json": b'{"<script>": 1}',
        "junit.xml": REPORT,
        "i.png": PNG,
        "page.html": EVIL.encode(),
        "empty": b"",
        "evil/<img src=x onerror=alert(1)>.txt": b"x",
    }
    packed = gzip.compress(tar(*(tar_member(name, one) for name, one in members.items())))
    receipt = site.upload(packed, EVIL_NAME, Username=EVIL)
    return {
        "id": receipt["upload"]["id"],
        "upload": site.directory(receipt),
        "tree": f"/{receipt['path']['archive']}/",
    }


@pytest.mark.parametrize("address", PAGES)
def test_no_page_runs_a_script_that_is_not_a_file_of_ours(
    site: Site, places: dict[str, str], address: str
) -> None:
    answer = site.get(address.format(**places), **BROWSER)
    assert answer.mimetype == "text/html"
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert set(policy) >= COMMON
    rest = {rule for rule in set(policy) - COMMON if not rule.startswith("form-action ")}
    allowed = {"script-src 'self'", "connect-src 'self'"} if address in SCRIPTED else set()
    assert rest == allowed
    assert len(policy) == len({rule.split()[0] for rule in policy})
    text = answer.get_data().decode()
    assert "alert(1)</script>" not in text
    scripts = re.findall(r"<script([^>]*)>", text)
    wanted = [' src="/static/upload.js" type="module"'] if address in SCRIPTED else []
    assert scripts == wanted
    assert not re.search(r"<style|<[^>\"]*(\"[^\"]*\"[^>\"]*)*\s(on\w+|style)=|javascript:", text)


@pytest.mark.parametrize(
    "path",
    ["/config", "/uploads", "/ping", "/archive/?json", "/archive/?simple", "/archive/?zip"],
)
def test_answers_for_programs_may_do_nothing_at_all_in_a_browser(site: Site, path: str) -> None:
    headers = site.get(path).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in headers
