"""``/blob/…``: the bytes, in parts, conditionally, and with headers that tame what others wrote."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from werkzeug.http import parse_options_header

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.manifest import ManifestEntry
from httpbucket.storage.base import Manifest
from tests.examples import descriptor, identity, keep, keep_upload, record_of, tree_of
from tests.web.conftest import MakeSite, Site

CONTENT = bytes(range(256)) * 4
BLOB = descriptor(CONTENT)
HEX = BLOB.sha256.hex
PATH = f"/blob/{HEX}"


@pytest.fixture
def stored(site: Site) -> FlaskClient:
    """A client of a site that holds `CONTENT`."""
    site.stores.index.add(keep_upload(site.stores, CONTENT), None)
    return site.client


class TestBytes:
    def test_a_blob_is_sent_with_all_that_is_known_of_it(self, stored: FlaskClient) -> None:
        response = stored.get(PATH)
        assert (response.status_code, response.data) == (200, CONTENT)
        headers = response.headers
        assert headers["Content-Length"] == "1024"
        assert headers["ETag"] == f'"{HEX}"'
        assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert headers["Accept-Ranges"] == "bytes"
        assert headers["Content-Disposition"] == "inline; filename=results.xml"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("sandbox")
        assert "Set-Cookie" not in headers

    def test_its_digests_are_in_the_answer(self, stored: FlaskClient) -> None:
        sha256 = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
        sha512 = base64.b64encode(hashlib.sha512(CONTENT).digest()).decode()
        expected = f"sha-256=:{sha256}:, sha-512=:{sha512}:"
        assert stored.get(PATH).headers["Repr-Digest"] == expected

    def test_head_says_the_same_without_the_bytes(self, stored: FlaskClient) -> None:
        head, get = stored.head(PATH), stored.get(PATH)
        assert (head.status_code, head.data) == (200, b"")
        assert dict(head.headers) == dict(get.headers)

    def test_the_empty_blob_is_sent(self, site: Site) -> None:
        site.stores.index.add(keep_upload(site.stores, b""), None)
        response = site.client.get(f"/blob/{identity(b'').hex}")
        assert (response.status_code, response.data) == (200, b"")
        assert response.headers["Content-Length"] == "0"

    def test_a_blob_that_no_upload_names_is_not_found(self, site: Site) -> None:
        keep(site.stores, CONTENT)
        assert site.client.get(PATH).status_code == 404


class TestAddresses:
    def test_the_path_in_receipts_leads_to_the_bytes(self, stored: FlaskClient) -> None:
        response = stored.get(f"/blob/{HEX[:2]}/{HEX[2:4]}/{HEX}")
        assert (response.status_code, response.data) == (200, CONTENT)

    @pytest.mark.parametrize(
        "path",
        [
            f"/blob/00/{HEX[2:4]}/{HEX}",
            f"/blob/{HEX[:2]}/00/{HEX}",
            f"/blob/{HEX[2:4]}/{HEX[:2]}/{HEX}",
            f"/blob/{HEX[:2].upper()}/{HEX[2:4].upper()}/{HEX.upper()}",
            f"/blob/{HEX[:2]}/{HEX[2:4]}/{HEX}/",
            f"/blob/{HEX[:2]}/{HEX}",
            "/blob/",
            "/blob",
        ],
    )
    def test_any_other_path_is_not_found(self, stored: FlaskClient, path: str) -> None:
        response = stored.get(path)
        assert response.status_code == 404
        assert response.get_json()["code"] == 404

    @pytest.mark.parametrize("digest", ["ab/cd/abcd", "zz/zz/" + "z" * 64, "ab/cd/abcd" + "g" * 60])
    def test_a_path_without_a_digest_is_a_client_s_mistake(
        self, stored: FlaskClient, digest: str
    ) -> None:
        assert stored.get(f"/blob/{digest}").status_code in {400, 404}

    @pytest.mark.parametrize(
        "question",
        [
            BLOB.digests["md5"],
            BLOB.digests["md5"].upper(),
            f"md5:{BLOB.digests['md5']}",
            BLOB.digests["sha512"],
            HEX.upper(),
            f"sha256:{HEX}",
            f"SHA-256:{HEX}",
        ],
    )
    def test_any_other_digest_leads_to_the_sha256(self, stored: FlaskClient, question: str) -> None:
        response = stored.get(f"/blob/{question}")
        assert (response.status_code, response.data) == (302, b"")
        assert response.headers["Location"] == PATH
        assert "immutable" not in response.headers.get("Cache-Control", "")

    def test_a_checksum_type_of_the_same_length_is_no_loop(self, make_site: MakeSite) -> None:
        site = make_site(CHECKSUM_TYPE="sha3_256")
        blob = descriptor(CONTENT, algorithms=["sha3_256"])
        keep(site.stores, CONTENT)
        site.stores.index.add(record_of(blob), None)
        assert site.client.get(PATH).status_code == 200
        response = site.client.get(f"/blob/{blob.digests['sha3_256']}")
        assert response.headers["Location"] == PATH


class TestConditions:
    @pytest.mark.parametrize("etag", [f'"{HEX}"', f'W/"{HEX}"', f'"x", "{HEX}"', "*"])
    def test_what_a_client_has_is_not_sent_again(self, stored: FlaskClient, etag: str) -> None:
        response = stored.get(PATH, headers={"If-None-Match": etag})
        assert (response.status_code, response.data) == (304, b"")
        assert response.headers["ETag"] == f'"{HEX}"'
        assert "immutable" in response.headers["Cache-Control"]

    def test_what_a_client_has_of_another_content_does_not_matter(
        self, stored: FlaskClient
    ) -> None:
        assert stored.get(PATH, headers={"If-None-Match": '"other"'}).data == CONTENT

    def test_a_condition_that_fails_is_told(self, stored: FlaskClient) -> None:
        response = stored.get(PATH, headers={"If-Match": '"other"'})
        assert response.status_code == 412


class TestRanges:
    @pytest.mark.parametrize(
        ("header", "first", "last"),
        [
            ("bytes=0-0", 0, 0),
            ("bytes=0-99", 0, 99),
            ("bytes=1000-", 1000, 1023),
            ("bytes=-24", 1000, 1023),
            ("bytes=1000-5000", 1000, 1023),
            ("bytes=-5000", 0, 1023),
            ("bytes=0-", 0, 1023),
        ],
    )
    def test_a_part_is_sent(self, stored: FlaskClient, header: str, first: int, last: int) -> None:
        response = stored.get(PATH, headers={"Range": header})
        assert (response.status_code, response.data) == (206, CONTENT[first : last + 1])
        assert response.headers["Content-Range"] == f"bytes {first}-{last}/1024"
        assert response.headers["Content-Length"] == str(last + 1 - first)
        assert response.headers["ETag"] == f'"{HEX}"'

    @pytest.mark.parametrize(
        "header",
        [
            "bytes=0-1,5-6",
            "bytes=0-1,",
            "bytes=5-1",
            "bytes=x-y",
            "bytes",
            "lines=0-1",
            "bytes=--1",
        ],
    )
    def test_what_is_not_one_range_gets_the_whole(self, stored: FlaskClient, header: str) -> None:
        response = stored.get(PATH, headers={"Range": header})
        assert (response.status_code, response.data) == (200, CONTENT)

    @pytest.mark.parametrize("header", ["bytes=1024-", "bytes=5000-6000"])
    def test_a_range_behind_the_end_is_refused(self, stored: FlaskClient, header: str) -> None:
        response = stored.get(PATH, headers={"Range": header})
        assert response.status_code == 416
        assert response.headers["Content-Range"] == "bytes */1024"
        assert response.get_json()["problem"] == "range-not-satisfiable"

    def test_a_range_holds_only_for_the_content_that_the_client_has(
        self, stored: FlaskClient
    ) -> None:
        headers = {"Range": "bytes=0-9", "If-Range": f'"{HEX}"'}
        assert stored.get(PATH, headers=headers).status_code == 206
        headers["If-Range"] = '"other"'
        assert stored.get(PATH, headers=headers).data == CONTENT

    def test_a_range_of_a_head_request_does_not_matter(self, stored: FlaskClient) -> None:
        response = stored.head(PATH, headers={"Range": "bytes=0-9"})
        assert (response.status_code, response.headers["Content-Length"]) == (200, "1024")

    def test_the_empty_blob_has_no_ranges(self, site: Site) -> None:
        site.stores.index.add(keep_upload(site.stores, b""), None)
        response = site.client.get(f"/blob/{identity(b'').hex}", headers={"Range": "bytes=0-9"})
        assert response.status_code == 416


class TestNames:
    @pytest.mark.parametrize(
        ("kept", "shown"),
        [
            ("plain.txt", "plain.txt"),
            ("with space.txt", "with space.txt"),
            ('quo"te.txt', 'quo"te.txt'),
            (".hidden", "_.hidden"),
            ("semi;colon.txt", "semi;colon.txt"),
            ("日本語 ü.txt", "日本語 ü.txt"),
            ("100%.txt", "100%.txt"),
        ],
    )
    def test_a_name_reads_back_from_the_header(self, site: Site, kept: str, shown: str) -> None:
        header = self.header(site, kept)
        assert header.isascii()
        disposition, parameters = parse_options_header(header)
        assert (disposition, parameters["filename"]) == ("inline", shown)

    @pytest.mark.parametrize("kept", ["a\r\nSet-Cookie: x=1", "a\nb", "a\0b", "\x7f", "caf\udce9"])
    def test_a_name_from_an_old_record_is_no_way_into_the_headers(
        self, site: Site, kept: str
    ) -> None:
        header = self.header(site, kept)
        assert header.isascii()
        assert header.isprintable()

    def test_the_name_of_a_member_is_its_last_part(self, site: Site) -> None:
        keep(site.stores, CONTENT)
        tree, _ = tree_of(b"archive", [])
        manifest = Manifest(
            header=None,  # type: ignore[arg-type]
            entries=iter([ManifestEntry("report/index.html", BLOB)]),
        )
        record = record_of(descriptor(b"archive"))
        site.stores.index.add(replace(record, tree=tree), manifest)
        disposition = site.client.get(PATH).headers["Content-Disposition"]
        assert disposition == "inline; filename=index.html"

    def header(self, site: Site, name: str) -> str:
        keep(site.stores, CONTENT)
        site.stores.index.add(record_of(BLOB, name=name), None)
        response = site.client.get(PATH)
        assert (response.status_code, response.data) == (200, CONTENT)
        assert "Set-Cookie" not in response.headers
        return response.headers["Content-Disposition"]


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml", "application/pdf"])
def test_whatever_it_is_it_runs_in_an_origin_of_its_own(site: Site, media_type: str) -> None:
    keep(site.stores, CONTENT)
    blob = Descriptor(BLOB.digests, BLOB.size, BLOB.crc32, media_type)
    site.stores.index.add(record_of(blob), None)
    response = site.client.get(PATH)
    assert response.mimetype == media_type
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox")
    assert "allow-same-origin" not in policy
