"""``/checksum/<digest>``: does a producer have to send this content?"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.errors import IndexNotReady
from tests.examples import descriptor, identity, keep, keep_upload, kept_blobs, record_of
from tests.services.fakes import Journal, RecordingIndex
from tests.web.conftest import MakeSite, Site, site_on
from tests.web.forms import upload

BLOB = descriptor(b"content")
HEX = BLOB.sha256.hex


@pytest.fixture
def stored(site: Site) -> FlaskClient:
    site.stores.index.add(keep_upload(site.stores, b"content"), None)
    return site.client


EVERY_FORM = [
    *BLOB.digests.values(),
    *(digest.upper() for digest in BLOB.digests.values()),
    *(f"{algorithm}:{digest}" for algorithm, digest in BLOB.digests.items()),
    f"SHA-256:{HEX.upper()}",
]

MISTAKEN = [
    "g" * 32,
    "0" * 31,
    "0" * 33,
    "x",
    "nosuch:" + "0" * 32,
    "md5:" + "0" * 64,
    "shake_128:" + "0" * 32,
    "0" * 5000,
    "%00" * 16,
    "٠" * 32,
]


class TestHead:
    @pytest.mark.parametrize("digest", EVERY_FORM)
    def test_what_is_known_is_known_by_every_digest(self, stored: FlaskClient, digest: str) -> None:
        assert stored.head(f"/checksum/{digest}").status_code == 200

    @pytest.mark.parametrize("digest", ["0" * 32, "0" * 40, "0" * 64, "sha3_256:" + "0" * 64])
    def test_what_is_not_known_is_not_found(self, stored: FlaskClient, digest: str) -> None:
        assert stored.head(f"/checksum/{digest}").status_code == 404

    @pytest.mark.parametrize("digest", MISTAKEN)
    def test_what_is_no_digest_is_a_mistake(self, stored: FlaskClient, digest: str) -> None:
        assert stored.head(f"/checksum/{digest}").status_code == 400

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            (f"/checksum/{HEX}", 200),
            ("/checksum/x", 400),
            ("/checksum/" + "0" * 32, 404),
            ("/checksum/", 404),
            ("/checksum/a/b", 404),
        ],
    )
    @pytest.mark.parametrize("accept", ["*/*", "text/html"])
    def test_every_answer_says_that_no_body_comes(
        self, stored: FlaskClient, path: str, status: int, accept: str
    ) -> None:
        response = stored.head(path, headers={"Accept": accept})
        assert response.status_code == status
        assert response.headers["Content-Length"] == "0"
        assert "Content-Type" not in response.headers
        assert response.data == b""

    def test_an_index_that_is_not_ready_says_so_without_a_body(self, site: Site) -> None:
        client = with_broken_index(site, IndexNotReady("The index is being rebuilt."))
        response = client.head("/checksum/" + "0" * 32)
        assert response.status_code == 503
        assert response.headers["Content-Length"] == "0"
        assert int(response.headers["Retry-After"]) > 0

    def test_a_failure_of_ours_says_so_without_a_body(self, site: Site) -> None:
        client = with_broken_index(site, RuntimeError("unexpected"))
        response = client.head("/checksum/" + "0" * 32)
        assert (response.status_code, response.headers["Content-Length"]) == (500, "0")

    def test_content_that_nothing_names_is_not_found(self, site: Site) -> None:
        keep(site.stores, b"content")
        assert site.client.head(f"/checksum/{HEX}").status_code == 404

    def test_an_answer_is_not_for_ever(self, stored: FlaskClient) -> None:
        assert "immutable" not in stored.head(f"/checksum/{HEX}").headers.get("Cache-Control", "")

    def test_bare_hex_means_the_checksum_type_first(self, make_site: MakeSite) -> None:
        site = make_site(CHECKSUM_TYPE="sha3_256")
        keep(site.stores, b"content")
        blob = descriptor(b"content", algorithms=["sha3_256"])
        site.stores.index.add(record_of(blob), None)
        for digest in (blob.digests["sha3_256"], HEX):
            assert site.client.head(f"/checksum/{digest}").status_code == 200

    def test_an_ambiguous_digest_is_known(self, site: Site) -> None:
        collide(site)
        assert site.client.head("/checksum/" + "0" * 32).status_code == 200


class TestGet:
    @pytest.mark.parametrize("digest", EVERY_FORM)
    def test_it_leads_to_the_bytes(self, stored: FlaskClient, digest: str) -> None:
        response = stored.get(f"/checksum/{digest}")
        assert (response.status_code, response.data) == (302, b"")
        assert response.headers["Location"] == f"/blob/{HEX}"
        assert response.headers["Content-Length"] == "0"
        followed = stored.get(f"/checksum/{digest}", follow_redirects=True)
        assert followed.data == b"content"

    def test_what_is_not_known_is_told_with_its_digest(self, stored: FlaskClient) -> None:
        response = stored.get("/checksum/" + "0" * 32)
        assert response.status_code == 404
        body = response.get_json()
        assert body["problem"] == "blob-not-found"
        assert "md5:" + "0" * 32 in body["error"]

    @pytest.mark.parametrize("digest", MISTAKEN)
    def test_what_is_no_digest_is_told_briefly(self, stored: FlaskClient, digest: str) -> None:
        response = stored.get(f"/checksum/{digest}")
        assert (response.status_code, response.get_json()["problem"]) == (400, "invalid-digest")
        assert len(response.data) < 1000

    def test_an_ambiguous_digest_is_a_conflict_that_names_the_contents(self, site: Site) -> None:
        collide(site)
        response = site.client.get("/checksum/" + "0" * 32)
        body = response.get_json()
        assert (response.status_code, body["problem"]) == (409, "ambiguous-digest")
        both = sorted([identity(b"one").hex, identity(b"other").hex])
        assert body["detail"] == {"sha256": both}
        for hexadecimal in both:
            assert site.client.get(f"/checksum/{hexadecimal}").status_code == 302


def collide(site: Site) -> None:
    """Keep two contents of one MD5, which is cheaper to claim than to compute."""
    for number, content in enumerate([b"one", b"other"]):
        keep(site.stores, content)
        digests = {"md5": "0" * 32, "sha256": identity(content).hex}
        blob = Descriptor(digests, len(content), 0, "text/plain")
        site.stores.index.add(record_of(blob, number=number), None)


def with_broken_index(site: Site, error: Exception) -> FlaskClient:
    """The site, with an index that answers every question with ``error``."""
    index = RecordingIndex(Journal())
    index.refusal = error
    stores = replace(site.stores, index=index)
    return site.rebuilt(stores).client


def test_another_checksum_type_than_before_changes_what_is_shown_and_loses_nothing(
    make_site: MakeSite,
) -> None:
    site = make_site(CHECKSUM_TYPE="md5", DIGESTS="md5")
    site.stores.index.add(keep_upload(site.stores, b"content"), None)
    later = replace(site.settings, checksum_type="sha1", digests=("sha1", "sha256"))
    client = site_on(later, site.stores).client
    sha1 = hashlib.sha1(b"content").hexdigest()
    assert client.head(f"/checksum/{BLOB.digests['md5']}").status_code == 200
    assert client.head(f"/checksum/{sha1}").status_code == 404
    answer = upload(client, b"content").get_json()
    assert answer["checksum"]["blob"] == sha1
    assert client.head(f"/checksum/{sha1}").status_code == 200
    assert kept_blobs(site.stores.blobs) == [identity(b"content")]
