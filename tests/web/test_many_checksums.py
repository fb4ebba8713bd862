"""``POST /checksum``: which of many contents have to be sent?"""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest

from httpbucket.domain.errors import IndexNotReady
from httpbucket.web import checksum_lists
from tests.examples import descriptor, keep_upload
from tests.services.fakes import Journal, RecordingIndex
from tests.web.conftest import Site

THERE, OTHER = descriptor(b"content"), descriptor(b"other")
FORM = "application/x-www-form-urlencoded"


def line(blob: object, name: str = "a.xml", *, algorithm: str = "sha256") -> bytes:
    assert hasattr(blob, "digests")
    return f"{blob.digests[algorithm]}  {name}\n".encode()


@pytest.fixture
def stored(site: Site) -> Site:
    site.stores.index.add(keep_upload(site.stores, b"content"), None)
    return site


@pytest.mark.parametrize("kind", [FORM, "text/plain", "application/octet-stream", None])
@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
def test_the_missing_lines_come_back_as_they_were(
    stored: Site, kind: str | None, algorithm: str
) -> None:
    missing = line(OTHER, "b = ä&c.xml", algorithm=algorithm).upper()
    body = line(THERE, algorithm=algorithm) + missing + line(THERE, "c", algorithm=algorithm)
    response = stored.client.post("/checksum", data=body, content_type=kind)
    assert (response.status_code, response.data) == (200, missing)
    assert response.mimetype == "text/plain"


def test_lines_that_end_otherwise_keep_their_ends(stored: Site) -> None:
    other, there = line(OTHER)[:-1], line(THERE)[:-1]
    for body, missing in [
        (other + b"\r\n" + there + b"\r\n", other + b"\r\n"),
        (other + b"\0" + there + b"\0", other + b"\0"),
        (there + b"\n" + other, other),
    ]:
        assert stored.client.post("/checksum", data=body).data == missing


def test_where_nothing_is_missing_nothing_comes_back(stored: Site) -> None:
    response = stored.client.post("/checksum", data=line(THERE))
    assert (response.status_code, response.data) == (200, b"")
    response = stored.client.post("/checksum", json=[f"sha256:{THERE.sha256.hex}"])
    assert (response.status_code, response.json) == (200, [])
    assert stored.client.post("/checksum", data=b"").data == b""


@pytest.mark.parametrize("kind", ["application/json", FORM])
def test_the_missing_elements_of_a_list_come_back_as_they_were(stored: Site, kind: str) -> None:
    there, other = str(THERE.sha256), {"checksum": OTHER.digests["md5"], "filename": "é.xml"}
    body = json.dumps([there, other, {"checksum": there}, OTHER.sha256.hex], indent=3)
    response = stored.client.post("/checksum", data=" " + body, content_type=kind)
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.json == [other, OTHER.sha256.hex]


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        (line(THERE) + b"sha256sum: x: No such file\n", FORM, {"line": 2}),
        (b'["x"]', FORM, {"element": 1}),
        (b"{}", "application/json", {}),
        (b"", "application/json", {}),
        (b'--x\r\nContent-Disposition: form-data; name="file"\r\n', "text/plain", {"line": 1}),
    ],
)
def test_what_is_no_list_is_told(
    stored: Site, body: bytes, kind: str, detail: dict[str, int]
) -> None:
    response = stored.client.post("/checksum", data=body, content_type=kind)
    assert response.status_code == 400
    told = response.get_json()
    assert (told["problem"], told["detail"]) == ("malformed-checksums", detail)


def test_as_many_as_allowed_are_answered_and_one_more_is_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksum_lists, "MOST_CHECKSUMS", 5)
    assert site.client.post("/checksum", data=5 * line(OTHER)).data == 5 * line(OTHER)
    response = site.client.post("/checksum", data=6 * line(OTHER))
    assert (response.status_code, response.get_json()["problem"]) == (413, "too-many-checksums")
    assert response.get_json()["detail"]["most_checksums"] == 5


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_long_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch, announced: bool
) -> None:
    body = 5 * line(OTHER)
    monkeypatch.setattr(checksum_lists, "MOST_BYTES", len(body) - 1)
    chunked = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    environ = {} if announced else chunked
    response = site.client.post("/checksum", data=body, environ_overrides=environ)
    assert (response.status_code, response.get_json()["problem"]) == (413, "too-many-checksums")


def test_a_coded_body_is_refused(site: Site) -> None:
    headers = {"Content-Encoding": "gzip"}
    response = site.client.post("/checksum", data=gzip.compress(line(OTHER)), headers=headers)
    assert (response.status_code, response.get_json()["problem"]) == (415, "unsupported-coding")


def test_an_index_that_is_not_ready_calls_nothing_missing(site: Site) -> None:
    index = RecordingIndex(Journal())
    index.refusal = IndexNotReady("The index is being rebuilt.")
    broken = site.rebuilt(replace(site.stores, index=index))
    response = broken.client.post("/checksum", data=line(OTHER, algorithm="md5"))
    assert (response.status_code, response.get_json()["problem"]) == (503, "index-not-ready")
    assert int(response.headers["Retry-After"]) > 0


def test_a_page_of_another_site_is_not_answered(site: Site) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert site.client.post("/checksum", data=line(OTHER), headers=headers).status_code == 403


def test_only_posting_a_list_makes_sense(site: Site) -> None:
    assert site.client.get("/checksum").status_code == 405
