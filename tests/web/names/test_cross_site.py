"""What other sites have a browser send is refused; programs are not bothered."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import pytest

from tests.web.names.conftest import NewSite
from tests.web.names.site import Site


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://bucket.example"}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "https://localhost"}, 200),
        ({"Origin": "http://localhost:80"}, 200),
        ({"Origin": "http://LOCALHOST"}, 200),
        ({"Origin": "http://localhost:8080"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[nonsense"}, 403),
        ({"Origin": "http://localhost:99999999"}, 403),
        ({"Origin": "http://bucket.example:5000", "Host": "bucket.example:5000"}, 200),
        ({"Origin": "http://[::1]:5000", "Host": "[::1]:5000"}, 200),
        ({"Origin": "http://my_bucket:5000", "Host": "my_bucket:5000"}, 200),
        ({"Origin": "null", "Host": "my_bucket:5000"}, 403),
        ({"Origin": "null", "Host": ""}, 403),
        ({"Origin": "", "Host": "?"}, 403),
        ({"Origin": "http://evil.example", "X-Forwarded-Host": "evil.example"}, 403),
    ],
    ids=str,
)
def test_a_browser_sends_for_our_own_pages_only(
    site: Site, headers: Mapping[str, str], status: int
) -> None:
    form = {"file": (BytesIO(b"<results/>"), "results.xml")}
    with site.client.post("/upload", data=form, headers=dict(headers)) as answer:
        assert answer.status_code == status
        if status == 403:
            assert b"cross-site" in answer.get_data()
    assert len(site.uploads()) == (1 if status == 200 else 0)


@pytest.mark.parametrize(
    ("environ", "headers", "status"),
    [
        ({"PUBLIC_URL": "https://ci.example/a"}, {"Origin": "https://ci.example"}, 200),
        ({"PUBLIC_URL": "https://ci.example:8443"}, {"Origin": "https://ci.example:8443"}, 200),
        ({"PUBLIC_URL": "https://ci.example:8443"}, {"Origin": "https://ci.example"}, 403),
        ({"PUBLIC_URL": "https://ci.example"}, {"Origin": "http://localhost"}, 200),
        ({"PUBLIC_URL": "https://ci.example"}, {"Origin": "null"}, 403),
        (
            {"PUBLIC_URL": "https://ci.example"},
            {"Origin": "https://ci.example", "Sec-Fetch-Site": "same-site"},
            403,
        ),
        (
            {"TRUSTED_PROXIES": "127.0.0.1"},
            {"Origin": "https://ci.example", "X-Forwarded-Host": "ci.example"},
            200,
        ),
        (
            {"TRUSTED_PROXIES": "192.0.2.1"},
            {"Origin": "https://ci.example", "X-Forwarded-Host": "ci.example"},
            403,
        ),
        ({"CONTENT_ORIGIN": "https://files.example"}, {"Origin": "https://files.example"}, 403),
    ],
    ids=str,
)
def test_ours_is_also_what_the_operator_says(
    new_site: NewSite, environ: Mapping[str, str], headers: Mapping[str, str], status: int
) -> None:
    site = new_site(in_memory=True, environ=environ)
    form = {"file": (BytesIO(b"<results/>"), "results.xml")}
    peer = {"REMOTE_ADDR": "127.0.0.1"}
    with site.client.post(
        "/upload", data=form, headers=dict(headers), environ_overrides=peer
    ) as answer:
        assert answer.status_code == status


def test_reading_is_not_refused(site: Site) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}
    for method in ("GET", "HEAD", "OPTIONS"):
        assert site.get("/config", method, **headers).status_code == 200
