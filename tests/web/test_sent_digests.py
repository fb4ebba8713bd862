"""A digest that is sent along is compared before anything is kept."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from werkzeug.test import TestResponse

from tests.web.conftest import MakeSite, Site
from tests.web.forms import CLOSING, MULTIPART, part, post
from tests.web.test_uploads import refused

CONTENT = b"<results/>"
#: Ways that name the file's digest: a header, or a query in front of which stands ``?``.
WAYS = [
    ("Content-MD5", "md5", "{base64}"),
    ("Content-Digest", "sha256", "sha-256=:{base64}:"),
    ("Content-Digest", "sha512", "sha-512=:{base64}:"),
    ("Repr-Digest", "sha256", "sha-256=:{base64}:"),
    ("Repr-Digest", "sha1", "sha=:{base64}:"),
    ("Digest", "sha256", "SHA-256={base64}"),
    ("Digest", "md5", "md5={base64}"),
    ("X-Checksum-Md5", "md5", "{hex}"),
    ("X-Checksum-Sha1", "sha1", "{hex}"),
    ("X-Checksum-Sha256", "sha256", "{hex}"),
    ("X-Checksum-Sha512", "sha512", "{hex}"),
    ("?digest", "sha256", "sha256:{hex}"),
    ("?digest", "sha3_256", "sha3_256:{hex}"),
    ("?digest", "sha256", "SHA-256:{hex}"),
    ("?checksum", "md5", "{hex}"),
    ("?checksum", "sha224", "{hex}"),
    ("Checksum", "sha256", "sha256:{hex}"),
]
#: With a form these are about the body.
OF_CONTENT = {"Content-MD5", "Content-Digest"}


def written(form: str, algorithm: str, content: bytes) -> str:
    value = hashlib.new(algorithm, content).digest()
    return form.format(base64=b64encode(value).decode(), hex=value.hex())


def put(site: Site, way: str, value: str) -> TestResponse:
    query = {way[1:]: value} if way.startswith("?") else {}
    headers = {} if query else {way: value}
    return site.client.put("/upload/f.txt", data=CONTENT, query_string=query, headers=headers)


def post_form(site: Site, way: str, value: str) -> TestResponse:
    query = {way[1:]: value} if way.startswith("?") else {}
    headers = {} if query else {way: value}
    body = part(CONTENT) + CLOSING
    return site.client.post(
        "/upload", data=body, content_type=MULTIPART, query_string=query, headers=headers
    )


@pytest.mark.parametrize(("way", "algorithm", "form"), WAYS)
class TestEveryWay:
    def test_a_right_digest_is_taken(self, site: Site, way: str, algorithm: str, form: str) -> None:
        value = written(form, algorithm, CONTENT)
        receipt = put(site, way, value).get_json()
        assert receipt["code"] == 200
        digests = receipt["upload"]["digests"]
        assert digests[algorithm] == hashlib.new(algorithm, CONTENT).hexdigest()
        assert site.client.head(f"/checksum/{algorithm}:{digests[algorithm]}").status_code == 200

    def test_a_wrong_one_is_refused(self, site: Site, way: str, algorithm: str, form: str) -> None:
        body = refused(
            site, put(site, way, written(form, algorithm, b"other")), 400, "digest-mismatch"
        )
        assert body["detail"] == {
            "expected": f"{algorithm}:{hashlib.new(algorithm, b'other').hexdigest()}",
            "actual": f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}",
        }

    def test_a_malformed_one_is_refused(
        self, site: Site, way: str, algorithm: str, form: str
    ) -> None:
        malformed = form.format(base64="!!!", hex="WRONG")
        refused(site, put(site, way, malformed), 400, "invalid-digest")

    def test_with_a_form_it_is_about_the_file_or_else_the_body(
        self, site: Site, way: str, algorithm: str, form: str
    ) -> None:
        wrong = written(form, algorithm, b"other")
        refused(site, post_form(site, way, wrong), 400, "digest-mismatch")
        about = part(CONTENT) + CLOSING if way in OF_CONTENT else CONTENT
        right = post_form(site, way, written(form, algorithm, about))
        assert right.status_code == 200, right.text


@pytest.mark.parametrize(
    ("way", "value"),
    [
        ("Content-Digest", "crc32c=:AAAA:"),
        ("Digest", "UNIXsum=7"),
        ("?digest", "blake3:00"),
        ("X-Checksum-Crc", "00"),
    ],
)
def test_an_algorithm_that_nobody_knows_is_passed_over(site: Site, way: str, value: str) -> None:
    assert put(site, way, value).status_code == 200


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
@pytest.mark.parametrize("is_first", [True, False])
def test_the_field_checksum_may_come_before_the_file_or_after_it(
    make_site: MakeSite, algorithm: str, is_first: bool
) -> None:
    for content, status in ((CONTENT, 200), (b"other", 400)):
        site = make_site()
        value = hashlib.new(algorithm, content).hexdigest()
        parts = [part(value.encode(), disposition='name="checksum"'), part(CONTENT)]
        response = post(site.client, *(parts if is_first else reversed(parts)))
        assert response.status_code == status, response.text
        assert len(list(site.stores.records.ids())) == (status == 200)


def test_a_part_may_have_a_digest_of_its_own(make_site: MakeSite) -> None:
    for content, status in ((CONTENT, 200), (b"other", 400)):
        value = b64encode(hashlib.md5(content).digest()).decode()
        response = post(make_site().client, part(CONTENT, more=f"Content-MD5: {value}\r\n"))
        assert response.status_code == status, response.text


def test_every_digest_has_to_be_right(site: Site) -> None:
    headers = {
        "X-Checksum-Md5": hashlib.md5(CONTENT).hexdigest(),
        "X-Checksum-Sha1": hashlib.sha1(b"other").hexdigest(),
    }
    response = site.client.put("/upload/f.txt", data=CONTENT, headers=headers)
    refused(site, response, 400, "digest-mismatch")


def test_a_malformed_digest_is_refused_before_the_body_is_read(site: Site) -> None:
    class Unread:
        def read(self, size: int = -1) -> bytes:
            raise AssertionError("the body was read")

    response = site.client.put(
        "/upload/x",
        environ_overrides={"wsgi.input": Unread(), "CONTENT_LENGTH": "1000"},
        headers={"Content-MD5": "!"},
    )
    refused(site, response, 400, "invalid-digest")


@pytest.mark.parametrize("name", ["X-Checksum-Sha256", "Content-MD5", "Repr-Digest", "Digest"])
def test_a_digest_that_a_script_left_empty_is_refused(site: Site, name: str) -> None:
    answer = site.client.put("/upload/a.txt", data=CONTENT, headers={name: " "})
    assert answer.json is not None
    assert (answer.status_code, answer.json["problem"]) == (400, "invalid-digest")


@pytest.mark.parametrize("second", [b"other", CONTENT])
def test_every_field_called_checksum_counts(site: Site, second: bytes) -> None:
    fields = [hashlib.md5(CONTENT).hexdigest(), f"sha256:{hashlib.sha256(second).hexdigest()}"]
    parts = [part(text.encode(), disposition='name="checksum"') for text in fields]
    body = b"".join(parts) + part(CONTENT) + CLOSING
    response = site.client.post("/upload", data=body, content_type=MULTIPART)
    if second == CONTENT:
        assert response.status_code == 200
    else:
        refused(site, response, 400, "digest-mismatch")
