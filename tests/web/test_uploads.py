"""``POST /upload``: what is kept, under which name, and what is refused with which answer."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from httpbucket.domain.digest import Digest
from tests.examples import descriptor, identity
from tests.web.conftest import LIMIT, MakeSite, Site
from tests.web.forms import BOUNDARY, CLOSING, MULTIPART, part, post, upload


def refused(site: Site, response: TestResponse, status: int, problem: str) -> dict[str, Any]:
    """Assert that the answer is this refusal and that nothing was kept; gives its JSON."""
    body = response.get_json()
    assert (response.status_code, body["problem"]) == (status, problem)
    assert list(body) == ["status", "code", "error", "problem", "detail"]
    assert list(site.stores.records.ids()) == []
    assert contents(site) == set()
    assert isinstance(body, dict)
    return body


def contents(site: Site) -> set[Digest]:
    """What is kept beside the empty blob, which is always there."""
    return {*site.stores.blobs.digests()} - {identity(b"")}


class TestReceipts:
    def test_a_receipt_has_the_documented_keys_and_values(self, client: FlaskClient) -> None:
        response = upload(client, b"<a/>", "results.xml")
        blob = descriptor(b"<a/>")
        receipt = response.get_json()
        upload_id = receipt["upload"]["id"]
        log, undo = receipt.pop("log"), receipt.pop("undo")
        hexadecimal = blob.sha256.hex
        assert response.status_code == 200
        assert receipt == {
            "checksum": {"blob": blob.digests["md5"], "decompressed": None, "archive": None},
            "path": {
                "blob": f"blob/{hexadecimal[:2]}/{hexadecimal[2:4]}/{hexadecimal}",
                "decompressed": None,
                "archive": None,
                "replicas": None,
                "upload": f"archive/2026/11/21/{upload_id}",
                "file": f"archive/2026/11/21/{upload_id}/results.xml",
            },
            "code": 200,
            "status": "Success",
            "upload": {
                "id": upload_id,
                "filename": "results.xml",
                "size": 4,
                "media_type": "text/plain",
                "digests": blob.digests,
                "expires": None,
                "keep": False,
                "replicas": [],
                "findings": [],
                "page": f"http://localhost/uploads/{upload_id}",
            },
        }
        assert undo.startswith("http://localhost/undo/")
        assert log
        assert all(isinstance(line, str) for line in log)
        keys = ["checksum", "path", "code", "status", "upload", "log", "undo"]
        assert list(response.get_json()) == keys

    def test_paths_are_absolute_where_the_archive_is_shown_elsewhere(
        self, make_site: MakeSite
    ) -> None:
        site = make_site(ARCHIVE_URI="https://files.example/bucket/")
        path = upload(site.client, b"x").get_json()["path"]
        assert path["blob"].startswith("https://files.example/bucket/blob/2d/71/2d71")
        assert path["upload"].startswith("https://files.example/bucket/archive/2026/11/21/")

    def test_a_directory_as_archive_uri_becomes_a_file_url(self, make_site: MakeSite) -> None:
        site = make_site(ARCHIVE_URI="/mnt/my bucket")
        path = upload(site.client, b"x").get_json()["path"]
        assert path["blob"].startswith("file:///mnt/my%20bucket/blob/2d/71/2d71")

    @pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "blake2b"])
    def test_the_checksum_is_of_the_configured_type(
        self, make_site: MakeSite, algorithm: str
    ) -> None:
        receipt = upload(make_site(CHECKSUM_TYPE=algorithm).client, b"x").get_json()
        expected = descriptor(b"x", algorithms=[algorithm]).digests[algorithm]
        assert receipt["checksum"]["blob"] == expected
        assert receipt["upload"]["digests"][algorithm] == expected

    def test_every_path_leads_to_the_bytes(self, client: FlaskClient) -> None:
        path = upload(client, b"content").get_json()["path"]["blob"]
        assert client.get(f"/{path}").data == b"content"

    def test_the_same_content_again_is_another_upload_of_one_blob(self, site: Site) -> None:
        receipts = [upload(site.client, b"same").get_json() for _ in range(3)]
        assert len({receipt["upload"]["id"] for receipt in receipts}) == 3
        assert contents(site) == {identity(b"same")}

    def test_an_empty_file_is_kept(self, client: FlaskClient) -> None:
        receipt = upload(client, b"").get_json()
        assert receipt["upload"]["size"] == 0
        assert receipt["checksum"]["blob"] == "d41d8cd98f00b204e9800998ecf8427e"

    @pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 511_999, 512_001, 1024**2 + 1])
    def test_content_of_any_size_arrives_whole(self, make_site: MakeSite, size: int) -> None:
        client = make_site(MAX_CONTENT_LENGTH="2mb").client
        content = bytes(range(251)) * (size // 251) + bytes(size % 251)
        receipt = upload(client, content).get_json()
        assert receipt["upload"]["digests"] == descriptor(content).digests
        assert client.get("/" + receipt["path"]["blob"]).data == content

    @pytest.mark.parametrize(
        "content", [b"\r\n--bdr", b"\r\n", b"--", b"\r\n--bdry2\r\nx", b"\r\n--bdr\r\n--"]
    )
    def test_content_may_look_like_a_boundary(self, client: FlaskClient, content: bytes) -> None:
        assert upload(client, content).get_json()["upload"]["size"] == len(content)


BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class TestBrowsers:
    def test_a_browser_is_led_to_the_upload_s_page(self, client: FlaskClient) -> None:
        response = post(client, part(b"content"), headers=BROWSER)
        assert response.status_code == 303
        page = client.get(response.headers["Location"], headers=BROWSER)
        assert (page.status_code, page.mimetype) == (200, "text/html")
        assert "f.txt" in page.text

    def test_names_are_escaped_in_pages(self, client: FlaskClient) -> None:
        name = "<img src=x onerror=alert(1)>.html"
        response = post(
            client,
            part(b"x", disposition=f'name="file"; filename="{name}"'),
            headers=BROWSER,
        )
        page = client.get(response.headers["Location"], headers=BROWSER).text
        assert "<img" not in page
        assert "&lt;img" in page

    def test_a_browser_is_refused_with_a_page(self, site: Site) -> None:
        response = post(site.client, headers=BROWSER)
        assert (response.status_code, response.mimetype) == (400, "text/html")
        assert "There is no file in the field" in response.text

    def test_the_upload_is_shown_again_as_json(self, client: FlaskClient) -> None:
        receipt = upload(client, b"content").get_json()
        shown = client.get(f"/uploads/{receipt['upload']['id']}").get_json()
        del receipt["log"], receipt["undo"]
        assert shown == receipt


NAMES = [
    ('filename="../../etc/passwd"', "passwd"),
    ('filename="/etc/passwd"', "passwd"),
    (r'filename="C:\\Users\\x.txt"', "x.txt"),
    ('filename=".."', "file"),
    ('filename="."', "file"),
    ('filename="..."', "file"),
    ('filename="/"', "file"),
    ('filename=".profile"', "_.profile"),
    ('filename="a\0b.txt"', "a_b.txt"),
    ('filename="a\tb.txt"', "a_b.txt"),
    ('filename="🚀 rocket.log"', "🚀 rocket.log"),
    ('filename="日本語.txt"', "日本語.txt"),
    ('filename="cafe\u0301.txt"', "caf\u00e9.txt"),
    ('filename="caf\u00e9.txt"', "caf\u00e9.txt"),
    ('filename="a;b\\"c.txt"', 'a;b"c.txt'),
    ('filename="a%0Ab.txt"', "a%0Ab.txt"),
    ("filename=plain.txt", "plain.txt"),
    ("filename*=UTF-8''na%C3%AFve.txt", "naïve.txt"),
    ("filename=\"fallback.txt\"; filename*=UTF-8''na%C3%AFve.txt", "naïve.txt"),
    ("filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
    ("filename*=UTF-8''a%0D%0Ab.txt", "a__b.txt"),
    ("filename*=UTF-8''a%00b.txt", "a_b.txt"),
    ('filename*0="long"; filename*1="er.txt"', "longer.txt"),
    ("filename*0*=UTF-8''na%C3%AF; filename*1=\"ve.txt\"", "naïve.txt"),
]


class TestNames:
    @pytest.mark.parametrize(("parameter", "kept"), NAMES)
    def test_a_name_is_kept_as_close_to_the_client_s_as_is_safe(
        self, client: FlaskClient, parameter: str, kept: str
    ) -> None:
        response = post(client, part(b"x", disposition=f'name="file"; {parameter}'))
        assert response.status_code == 200
        receipt = response.get_json()
        assert receipt["upload"]["filename"] == kept
        path = f"/blob/{descriptor(b'x').sha256.hex}"
        assert client.get(path).headers["Content-Disposition"].startswith("inline; filename")

    def test_a_name_of_400_bytes_is_cut_and_keeps_its_suffix(self, client: FlaskClient) -> None:
        receipts = [upload(client, b"x", f"{'n' * 396}{n}.txt").get_json() for n in (1, 2)]
        first, second = (receipt["upload"]["filename"] for receipt in receipts)
        assert first != second
        for name in (first, second):
            assert len(name.encode()) <= 180
            assert name.startswith("nnn")
            assert name.endswith(".txt")
        assert any("was changed to" in line for line in receipts[0]["log"])

    @pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x=1", "a\nb"])
    def test_a_line_break_in_a_name_is_no_way_into_the_headers(
        self, client: FlaskClient, name: str
    ) -> None:
        response = post(client, part(b"x", disposition=f'name="file"; filename="{name}"'))
        assert response.status_code == 400
        assert "Set-Cookie" not in response.headers


class TestBodiesThatAreRefused:
    def test_no_body(self, site: Site) -> None:
        refused(site, site.client.post("/upload"), 400, "missing-file")

    @pytest.mark.parametrize(
        "content_type",
        ["application/x-www-form-urlencoded", "application/octet-stream", "text/plain", None],
    )
    def test_a_body_that_is_no_form(self, site: Site, content_type: str | None) -> None:
        response = site.client.post("/upload", data=b"content", content_type=content_type)
        assert "multipart/form-data" in refused(site, response, 400, "missing-file")["error"]

    def test_no_file(self, site: Site) -> None:
        assert refused(site, post(site.client), 400, "missing-file")["detail"] == {"fields": []}

    def test_a_file_in_the_wrong_field(self, site: Site) -> None:
        response = post(site.client, part(b"x", disposition='name="upload"; filename="f"'))
        detail = refused(site, response, 400, "missing-file")["detail"]
        assert detail == {"fields": ["upload"]}

    def test_text_in_the_right_field(self, site: Site) -> None:
        response = post(site.client, part(b"x", disposition='name="file"'))
        refused(site, response, 400, "missing-file")

    def test_an_endless_field_name_is_not_repeated_to_the_client(self, site: Site) -> None:
        response = post(site.client, part(b"x", disposition=f'name="{"n" * 5000}"'))
        assert len(response.data) < 2000
        refused(site, response, 400, "missing-file")

    def test_an_empty_filename(self, site: Site) -> None:
        response = post(site.client, part(b"", disposition='name="file"; filename=""'))
        refused(site, response, 400, "empty-filename")

    def test_no_boundary(self, site: Site) -> None:
        response = post(site.client, part(b"x"), content_type="multipart/form-data")
        refused(site, response, 400, "malformed-body")

    def test_another_boundary(self, site: Site) -> None:
        response = post(site.client, part(b"x"), content_type=MULTIPART + "2")
        refused(site, response, 400, "malformed-body")

    @pytest.mark.parametrize("kept", [0.2, 0.5, 0.8, 0.99])
    def test_a_body_that_is_cut(self, site: Site, kept: float) -> None:
        body = part(b"x" * 1000) + CLOSING
        response = post(site.client, body[: int(len(body) * kept)], closing=b"")
        refused(site, response, 400, "malformed-body")

    def test_a_body_without_its_closing_boundary(self, site: Site) -> None:
        refused(site, post(site.client, part(b"x"), closing=b""), 400, "malformed-body")

    def test_a_second_file_that_is_cut_takes_the_first_with_it(self, site: Site) -> None:
        response = post(site.client, part(b"one"), part(b"two"), closing=b"")
        refused(site, response, 400, "malformed-body")

    @pytest.mark.parametrize("body", [b"\r\n", b"garbage", b"--bdry", b"\xff" * 100])
    def test_a_body_that_is_nothing(self, site: Site, body: bytes) -> None:
        refused(site, post(site.client, body, closing=b""), 400, "malformed-body")

    @pytest.mark.parametrize(
        "head",
        [
            b"no headers at all\r\n\r\n",
            b"Content-Disposition: form-data\r\n\r\n",
            b"\xff: x\r\n\r\n",
        ],
    )
    def test_a_part_without_a_name(self, site: Site, head: bytes) -> None:
        body = f"--{BOUNDARY}\r\n".encode() + head + b"x\r\n"
        response = post(site.client, body)
        assert response.status_code == 400
        assert response.get_json()["problem"] in {"malformed-body", "missing-file"}

    def test_a_part_without_a_name_among_others(self, site: Site) -> None:
        nameless = part(b"x", disposition="foo=bar")
        response = post(site.client, nameless, part(b"x", disposition='name="comment"'))
        assert refused(site, response, 400, "missing-file")["detail"] == {"fields": ["", "comment"]}

    def test_a_name_that_is_not_utf_8(self, site: Site) -> None:
        body = part(b"x", disposition='name="file"; filename="café.txt"'.encode("latin-1"))
        refused(site, post(site.client, body), 400, "malformed-body")

    def test_so_many_parts_as_members_are_taken_and_one_more_refused(
        self, make_site: MakeSite
    ) -> None:
        site = make_site(UNPACK_MAX_MEMBERS="1000")
        fields = [part(b"", disposition=f'name="f{n}"') for n in range(999)]
        assert post(site.client, *fields, part(b"x")).status_code == 200
        assert post(site.client, *fields, part(b"", disposition='name="g"'), part(b"y")).get_json()[
            "problem"
        ] == ("too-many-parts")

    def test_a_text_field_of_500_001_bytes(self, site: Site) -> None:
        field = part(b"x" * 500_001, disposition='name="comment"')
        refused(site, post(site.client, field, part(b"x")), 413, "too-many-parts")

    @pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, identity", "x"])
    def test_a_coded_body(self, site: Site, coding: str) -> None:
        response = post(site.client, part(b"x"), headers={"Content-Encoding": coding})
        refused(site, response, 415, "unsupported-coding")

    def test_a_coded_transfer(self, site: Site) -> None:
        response = post(site.client, part(b"x"), headers={"Transfer-Encoding": "gzip, chunked"})
        refused(site, response, 415, "unsupported-coding")


class TestBodiesThatAreTaken:
    @pytest.mark.parametrize(
        "headers", [{"Content-Encoding": "identity"}, {"Content-Encoding": ""}]
    )
    def test_a_body_that_says_it_is_not_coded(
        self, client: FlaskClient, headers: dict[str, str]
    ) -> None:
        assert post(client, part(b"x"), headers=headers).status_code == 200

    def test_a_part_s_own_length_is_not_believed(self, client: FlaskClient) -> None:
        for length in ("999999", "0", "-1", "x"):
            response = post(client, part(b"12345", more=f"Content-Length: {length}\r\n"))
            assert response.get_json()["upload"]["size"] == 5

    def test_a_part_s_transfer_encoding_is_not_undone(self, client: FlaskClient) -> None:
        more = "Content-Type: text/html; charset=utf-7\r\nContent-Transfer-Encoding: base64\r\n"
        receipt = post(client, part(b"aGVsbG8=", more=more)).get_json()
        assert receipt["upload"]["digests"] == descriptor(b"aGVsbG8=").digests

    def test_fields_beside_the_file_do_not_matter(self, client: FlaskClient) -> None:
        comment = part(b"hello", disposition='name="comment"')
        other = part(b"other", disposition='name="other"; filename="o"')
        receipt = post(client, comment, other, part(b"12345")).get_json()
        assert receipt["upload"]["size"] == 5

    def test_a_preamble_and_an_epilogue_do_not_matter(self, client: FlaskClient) -> None:
        response = post(client, b"preamble\r\n", part(b"12345"), closing=CLOSING + b"epilogue")
        assert response.get_json()["upload"]["size"] == 5

    def test_a_quoted_boundary(self, client: FlaskClient) -> None:
        content_type = f'multipart/form-data; boundary="{BOUNDARY}"'
        assert post(client, part(b"x"), content_type=content_type).status_code == 200


class TestTheLimit:
    def test_exactly_the_limit_is_taken(self, client: FlaskClient) -> None:
        assert upload(client, b"x" * LIMIT).get_json()["upload"]["size"] == LIMIT

    def test_one_byte_more_is_refused(self, site: Site) -> None:
        body = refused(site, upload(site.client, b"x" * (LIMIT + 1)), 413, "too-large")
        assert body["detail"] == {"max_content_length": LIMIT}

    def test_one_byte_more_is_refused_without_a_content_length(self, site: Site) -> None:
        body = io.BytesIO(part(b"x" * (LIMIT + 1)) + CLOSING)
        response = site.client.post(
            "/upload",
            input_stream=body,
            content_type=MULTIPART,
            headers={"Transfer-Encoding": "chunked"},
            environ_overrides={"wsgi.input_terminated": True},
        )
        refused(site, response, 413, "too-large")

    def test_an_announced_length_is_refused_before_a_byte_is_read(self, site: Site) -> None:
        body = io.BytesIO(part(b"x"))
        response = site.client.post(
            "/upload",
            input_stream=body,
            content_type=MULTIPART,
            environ_overrides={"CONTENT_LENGTH": str(10 * 1024**3)},
        )
        refused(site, response, 413, "too-large")
        assert body.tell() == 0

    def test_two_files_share_the_limit(self, site: Site) -> None:
        other = part(b"x" * LIMIT, disposition='name="other"; filename="o"')
        refused(site, post(site.client, other, part(b"x")), 413, "too-large")
