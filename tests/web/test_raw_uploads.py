"""Bodies that are the file itself: under which name, and where in the upload they are kept."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.examples import descriptor
from tests.web.conftest import LIMIT, MakeSite, Site
from tests.web.forms import CLOSING, MULTIPART, part
from tests.web.test_uploads import refused

URLENCODED = "application/x-www-form-urlencoded"


def kept(response: TestResponse) -> dict[str, Any]:
    """The receipt."""
    assert response.status_code == 200, response.text
    receipt = response.get_json()
    assert isinstance(receipt, dict)
    return receipt


class TestNames:
    @pytest.mark.parametrize("method", ["PUT", "POST"])
    @pytest.mark.parametrize("kind", [None, URLENCODED, "text/xml", "application/octet-stream"])
    def test_the_path_names_the_file(
        self, client: FlaskClient, method: str, kind: str | None
    ) -> None:
        response = client.open(
            "/upload/results.xml", method=method, data=b"a=b&c", content_type=kind
        )
        receipt = kept(response)
        assert receipt["upload"]["filename"] == "results.xml"
        assert receipt["upload"]["digests"] == descriptor(b"a=b&c").digests
        assert client.get(f"/{receipt['path']['file']}").data == b"a=b&c"

    def test_a_parameter_names_the_file_as_well(self, client: FlaskClient) -> None:
        response = client.post("/upload?filename=a/b.txt", data=b"x=1", content_type=URLENCODED)
        assert kept(response)["path"]["file"].endswith("/a/b.txt")

    def test_an_empty_body_is_an_empty_file(self, client: FlaskClient) -> None:
        assert kept(client.put("/upload/empty"))["upload"]["size"] == 0

    @pytest.mark.parametrize(
        ("path", "file"),
        [
            ("/upload/a/b/c.txt", "a/b/c.txt"),
            ("/upload/c.txt?path=a/b", "a/b/c.txt"),
            ("/upload/b/c.txt?path=/a/", "a/b/c.txt"),
            ("/upload/a%2Fb%2Fc.txt", "a/b/c.txt"),
            ("/upload/a//c.txt", "a/c.txt"),
            ("/upload/%E6%97%A5/x%20y%3F.txt", "日/x y?.txt"),
            ("/upload/.upload.json", "_.upload.json"),
            ("/upload/.hidden/x", "_.hidden/x"),
            ("/upload/SHA256SUMS", "SHA256SUMS"),
            ("/upload/a%0Ab/c%0A.txt", "a_b/c_.txt"),
        ],
    )
    def test_slashes_keep_folders(self, client: FlaskClient, path: str, file: str) -> None:
        receipt = kept(client.put(path, data=b"content"))
        assert receipt["path"]["file"] == f"{receipt['path']['upload']}/{file}"
        assert receipt["upload"]["filename"] == file.rpartition("/")[2]
        assert client.get(quote(f"/{receipt['path']['file']}")).data == b"content"

    @pytest.mark.parametrize(
        "path",
        ["/upload/a/../b", "/upload/..%2Fb", "/upload/x?path=..", "/upload/" + "a/" * 33 + "x"],
    )
    def test_folders_that_cannot_be(self, site: Site, path: str) -> None:
        refused(site, site.client.put(path, data=b"content"), 400, "invalid-path")

    @pytest.mark.parametrize("path", ["/upload//x", "//upload/x", "/upload//"])
    def test_a_slash_too_many_is_no_redirect_which_curl_would_take_for_success(
        self, client: FlaskClient, path: str
    ) -> None:
        response = client.put(path, data=b"content", base_url="http://localhost")
        assert response.status_code >= 400

    @pytest.mark.parametrize("method", ["PUT", "POST"])
    @pytest.mark.parametrize("path", ["/upload/", "/upload/a/"])
    def test_without_a_name_the_answer_shows_how(self, site: Site, method: str, path: str) -> None:
        response = site.client.open(path, method=method, data=b"content")
        body = refused(site, response, 400, "empty-filename")
        assert "curl -T results.xml http://localhost/upload/" in body["error"]

    def test_put_without_the_last_slash_shows_how(self, site: Site) -> None:
        body = refused(site, site.client.put("/upload", data=b"x"), 400, "empty-filename")
        assert "curl -T results.xml http://localhost/upload/" in body["error"]

    @pytest.mark.parametrize("size", [1, 100_000])
    @pytest.mark.parametrize("kind", [URLENCODED, "text/plain"])
    def test_post_without_form_and_name_shows_how(
        self, make_site: MakeSite, kind: str, size: int
    ) -> None:
        site = make_site(MAX_CONTENT_LENGTH="1mb")
        response = site.client.post("/upload", data=b"x" * size, content_type=kind)
        body = refused(site, response, 400, "missing-file")
        assert "curl -F file=@results.xml http://localhost/upload" in body["error"]
        assert "curl -T results.xml http://localhost/upload/" in body["error"]


class TestForms:
    """``multipart/form-data`` is a form at any of the paths."""

    @pytest.mark.parametrize("path", ["/upload/", "/upload/x", "/upload/a/b.txt"])
    def test_a_form_is_parsed_at_any_path(self, client: FlaskClient, path: str) -> None:
        form = part(b"content", disposition='name="file"; filename="f.txt"') + CLOSING
        receipt = kept(client.post(path, data=form, content_type=MULTIPART))
        assert receipt["upload"]["filename"] == "f.txt"
        assert receipt["upload"]["size"] == 7

    def test_a_form_may_say_the_folder_too(self, client: FlaskClient) -> None:
        form = part(b"content") + part(b"a/b", disposition='name="path"') + CLOSING
        receipt = kept(client.post("/upload", data=form, content_type=MULTIPART))
        assert receipt["path"]["file"] == f"{receipt['path']['upload']}/a/b/f.txt"

    def test_the_length_and_the_coding_of_a_part_are_not_believed(
        self, client: FlaskClient
    ) -> None:
        more = (
            "Content-Length: 999999\r\nContent-Transfer-Encoding: base64\r\n"
            "Content-Type: text/html; charset=utf-7\r\n"
        )
        form = part(b"AAAA", more=more) + CLOSING
        receipt = kept(client.post("/upload", data=form, content_type=MULTIPART))
        assert receipt["upload"]["digests"] == descriptor(b"AAAA").digests


class TestParameters:
    def test_they_come_from_headers_and_query_and_never_from_the_body(
        self, make_site: MakeSite
    ) -> None:
        site = make_site(REPLICATE_0="user/${USERNAME}")
        response = site.client.put(
            "/upload/x.txt?Result=pass",
            data=b"Username=eve&Unpack=nonsense",
            content_type=URLENCODED,
            headers={"Username": "bob", "Meta-Job": "7"},
        )
        receipt = kept(response)
        (record,) = map(site.stores.records.load, site.stores.records.ids())
        assert receipt["path"]["replicas"] == ["replica/user/bob/x.20261121.1432.0.txt"]
        assert record.headers == {"username": "bob", "result": "pass", "meta-job": "7"}

    def test_a_replica_has_the_name_without_the_folder(self, make_site: MakeSite) -> None:
        site = make_site(REPLICATE_0="user/${USERNAME}")
        receipt = kept(site.client.put("/upload/a/x.txt", data=b"x", headers={"Username": "bob"}))
        assert receipt["path"]["replicas"] == ["replica/user/bob/x.20261121.1432.0.txt"]

    def test_a_wish_that_is_none_is_refused(self, site: Site) -> None:
        response = site.client.put("/upload/x?unpack=perhaps", data=b"x")
        refused(site, response, 400, "invalid-unpack")


class TestLimits:
    def test_exactly_the_limit_is_kept(self, client: FlaskClient) -> None:
        assert kept(client.put("/upload/x", data=b"x" * LIMIT))["upload"]["size"] == LIMIT

    def test_a_byte_more_is_refused_by_its_length(self, site: Site) -> None:
        refused(site, site.client.put("/upload/x", data=b"x" * (LIMIT + 1)), 413, "too-large")

    def test_a_coding_is_refused(self, site: Site) -> None:
        response = site.client.put("/upload/x", data=b"x", headers={"Content-Encoding": "gzip"})
        refused(site, response, 415, "unsupported-coding")

    def test_another_site_is_refused(self, site: Site) -> None:
        response = site.client.put("/upload/x", data=b"x", headers={"Origin": "http://evil"})
        refused(site, response, 403, "cross-site")


@pytest.mark.parametrize("said", ["bytes 5-9/10", "bytes 0-9/100", "bytes */10"])
def test_a_part_of_a_file_is_not_taken_for_the_whole(site: Site, said: str) -> None:
    answer = site.client.put("/upload/ten.txt", data=b"56789", headers={"Content-Range": said})
    assert answer.json is not None
    assert (answer.status_code, answer.json["problem"]) == (400, "partial-body")
    assert list(site.stores.records.ids()) == []
