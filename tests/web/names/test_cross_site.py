"""What other sites have a browser send is refused; programs are not bothered."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import pytest

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


def test_reading_is_not_refused(site: Site) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}
    for method in ("GET", "HEAD", "OPTIONS"):
        assert site.get("/config", method, **headers).status_code == 200
