"""What is kept already becomes a further upload by its digest alone."""

from __future__ import annotations

import gzip
import hashlib
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.builders import tar, tar_member
from tests.examples import descriptor, record_of
from tests.web.conftest import MakeSite, Site
from tests.web.forms import CLOSING, MULTIPART, part

CONTENT = b"<results/>"
DIGESTS = {name: hashlib.new(name, CONTENT).hexdigest() for name in ("md5", "sha1", "sha256")}
SHA256 = DIGESTS["sha256"]

FIELDS = {"checksum": SHA256, "filename": "again.xml"}


def form(site: Site, fields: dict[str, str]) -> TestResponse:
    parts = [part(text.encode(), disposition=f'name="{name}"') for name, text in fields.items()]
    return site.client.post("/upload", data=b"".join(parts) + CLOSING, content_type=MULTIPART)


def urlencoded(site: Site, fields: dict[str, str]) -> TestResponse:
    return site.client.post("/upload", data=fields)


def query(site: Site, fields: dict[str, str]) -> TestResponse:
    return site.client.post("/upload", query_string=fields)


def deploy(site: Site, fields: dict[str, str]) -> TestResponse:
    headers = {"X-Checksum-Deploy": "true", "X-Checksum-Sha256": fields["checksum"]}
    return site.client.put(f"/upload/{fields['filename']}", headers=headers)


EVERY_WAY = pytest.mark.parametrize("ask", [form, urlencoded, query, deploy])


def kept(response: TestResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    receipt = response.get_json()
    assert isinstance(receipt, dict)
    return receipt


@EVERY_WAY
class TestEveryWay:
    def test_a_kept_content_becomes_an_upload(self, site: Site, ask: Any) -> None:
        first = kept(site.client.put("/upload/results.xml", data=CONTENT))
        again = kept(ask(site, FIELDS))
        assert again["upload"]["filename"] == "again.xml"
        assert again["upload"]["id"] != first["upload"]["id"]
        assert again["upload"]["digests"] == first["upload"]["digests"]
        assert again["checksum"] == first["checksum"]
        assert site.client.get(f"/{again['path']['file']}").data == CONTENT
        assert len(list(site.stores.records.ids())) == 2

    def test_another_content_is_not_found(self, site: Site, ask: Any) -> None:
        response = ask(site, FIELDS)
        assert (response.status_code, response.get_json()["problem"]) == (404, "blob-not-found")
        assert list(site.stores.records.ids()) == []

    def test_what_is_no_digest_is_refused(self, site: Site, ask: Any) -> None:
        response = ask(site, {**FIELDS, "checksum": "WRONG"})
        assert (response.status_code, response.get_json()["problem"]) == (400, "invalid-digest")


@pytest.mark.parametrize("checksum", [*DIGESTS.values(), f"MD5:{DIGESTS['md5'].upper()}"])
def test_any_recorded_digest_will_do(make_site: MakeSite, checksum: str) -> None:
    site = make_site(DIGESTS="md5,sha1")
    kept(site.client.put("/upload/results.xml", data=CONTENT))
    assert kept(form(site, {**FIELDS, "checksum": checksum}))["upload"]["size"] == len(CONTENT)


def test_headers_make_replicas_and_the_path_keeps_folders(make_site: MakeSite) -> None:
    site = make_site(REPLICATE_0="user/${USERNAME}")
    kept(site.client.put("/upload/results.xml", data=CONTENT))
    receipt = kept(form(site, {**FIELDS, "filename": "a/again.xml", "Username": "bob"}))
    assert receipt["path"]["replicas"] == ["replica/user/bob/again.20261121.1432.0.xml"]
    assert receipt["path"]["file"] == f"{receipt['path']['upload']}/a/again.xml"


def test_an_archive_file_shows_its_tree_again(make_site: MakeSite) -> None:
    site = make_site(MAX_CONTENT_LENGTH="1mb")
    packed = gzip.compress(tar(tar_member("a.txt", b"a")))
    kept(site.client.put("/upload/one.tgz", data=packed))
    digest = hashlib.sha256(packed).hexdigest()
    receipt = kept(form(site, {"checksum": digest, "filename": "two.tgz"}))
    assert receipt["path"]["archive"].endswith("/two")
    assert site.client.get(f"/{receipt['path']['archive']}/a.txt").data == b"a"


def test_a_content_that_was_kept_packed_can_be_unpacked_now(make_site: MakeSite) -> None:
    site = make_site(MAX_CONTENT_LENGTH="1mb")
    packed = tar(tar_member("a.txt", b"a"))
    kept(site.client.put("/upload/one.tar?unpack=false", data=packed))
    digest = hashlib.sha256(packed).hexdigest()
    receipt = kept(form(site, {"checksum": digest, "filename": "two.tar"}))
    assert site.client.get(f"/{receipt['path']['archive']}/a.txt").data == b"a"


def test_digests_that_were_not_recorded_are_made_up_for(make_site: MakeSite) -> None:
    site = make_site()
    act = site.stores.staging.create()
    act.write(CONTENT)
    old = descriptor(CONTENT, algorithms=("sha256",))
    site.stores.blobs.keep(act, old.sha256)
    act.discard()
    record = record_of(old)
    site.stores.records.publish(record)
    site.stores.index.add(record, None)
    receipt = kept(form(site, FIELDS))
    assert receipt["upload"]["digests"] == descriptor(CONTENT).digests


def test_an_ambiguous_digest_is_refused(site: Site) -> None:
    same = {"md5": "0" * 32}
    for number, content in enumerate((b"one", b"two")):
        staged = site.stores.staging.create()
        staged.write(content)
        blob = descriptor(content)
        blob = type(blob)({**blob.digests, **same}, blob.size, blob.crc32, blob.media_type)
        site.stores.blobs.keep(staged, blob.sha256)
        staged.discard()
        record = record_of(blob, number=number)
        site.stores.records.publish(record)
        site.stores.index.add(record, None)
    response = form(site, {**FIELDS, "checksum": "0" * 32})
    assert (response.status_code, response.get_json()["problem"]) == (409, "ambiguous-digest")


def test_every_other_digest_has_to_be_right_too(site: Site) -> None:
    kept(site.client.put("/upload/results.xml", data=CONTENT))
    headers = {
        "X-Checksum-Deploy": "true",
        "X-Checksum-Sha256": SHA256,
        "X-Checksum-Sha1": hashlib.sha1(b"other").hexdigest(),
    }
    response = site.client.put("/upload/x", headers=headers)
    assert (response.status_code, response.get_json()["problem"]) == (400, "digest-mismatch")


def test_deploying_without_a_digest_is_refused(site: Site) -> None:
    response = site.client.put("/upload/x", headers={"X-Checksum-Deploy": "true"})
    assert (response.status_code, response.get_json()["problem"]) == (400, "invalid-digest")


def test_a_content_whose_bytes_are_gone_is_not_found(site: Site) -> None:
    blob = descriptor(CONTENT)
    record = record_of(blob)
    site.stores.index.add(record, None)
    response = form(site, FIELDS)
    assert (response.status_code, response.get_json()["problem"]) == (404, "blob-not-found")


def test_a_second_checksum_has_to_be_right_too(site: Site) -> None:
    kept(site.client.put("/upload/results.xml", data=CONTENT))
    fields = [("filename", "again.xml"), ("checksum", SHA256), ("checksum", "0" * 32)]
    parts = [part(text.encode(), disposition=f'name="{name}"') for name, text in fields]
    body = b"".join(parts) + CLOSING
    response = site.client.post("/upload", data=body, content_type=MULTIPART)
    assert (response.status_code, response.get_json()["problem"]) == (400, "digest-mismatch")
