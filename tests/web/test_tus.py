"""Resumable uploads, request by request (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from werkzeug.test import TestResponse

from httpbucket.domain.errors import StorageFull
from httpbucket.domain.partial import PartialId
from httpbucket.domain.upload import Record
from httpbucket.storage.base import HeldPartial
from tests.builders import tar, tar_member
from tests.web.conftest import MakeSite, Site

PIECE = {"Content-Type": "application/offset+octet-stream"}
TEMPLATE = {"REPLICATE_0": "user/${USERNAME}"}


def metadata(**said: str) -> str:
    pairs = (f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in said.items())
    return ",".join(pairs)


def call(site: Site, method: str, path: str, content: bytes = b"", **headers: Any) -> TestResponse:
    said = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    return site.client.open(
        path, method=method, data=content, headers={"Tus-Resumable": "1.0.0"} | said
    )


def begin(site: Site, length: int, **said: str) -> str:
    answer = call(site, "POST", "/tus/", Upload_Length=length, Upload_Metadata=metadata(**said))
    assert answer.status_code == 201, answer.data
    return answer.headers["Location"]


def send(site: Site, path: str, offset: int, content: bytes, **headers: Any) -> TestResponse:
    return call(site, "PATCH", path, content, Upload_Offset=offset, **PIECE, **headers)


def offset(site: Site, path: str) -> int:
    answer = call(site, "HEAD", path)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    return int(answer.headers["Upload-Offset"])


def uploads(site: Site) -> list[Record]:
    return [site.stores.records.load(one) for one in site.stores.records.ids()]


def _held(site: Site, path: str) -> HeldPartial:
    with site.stores.partials.hold(PartialId(path.rpartition("/")[2]), seconds=1) as held:
        return held


def _die(*arguments: object) -> None:
    raise RuntimeError("as if killed")


class TestTheCore:
    def test_options_say_what_is_spoken(self, site: Site) -> None:
        answer = site.client.options("/tus/")
        assert answer.status_code == 204
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Max-Size"] == str(site.settings.max_content_length)
        extensions = answer.headers["Tus-Extension"].split(",")
        assert {"creation", "checksum", "expiration", "termination"} <= {*extensions}

    def test_pieces_become_an_upload_with_a_receipt(self, site: Site) -> None:
        path = begin(site, 11, filename="greeting.txt")
        assert offset(site, path) == 0
        first = send(site, path, 0, b"hello ")
        assert (first.status_code, first.headers["Upload-Offset"]) == (204, "6")
        assert offset(site, path) == 6
        last = send(site, path, 6, b"world", Accept="application/json")
        assert last.status_code == 200
        receipt = last.get_json()
        digest = hashlib.sha256(b"hello world").hexdigest()
        assert receipt["upload"]["digests"]["sha256"] == digest
        assert receipt["upload"]["filename"] == "greeting.txt"
        assert last.headers["Content-Location"] == f"/uploads/{receipt['upload']['id']}"
        assert receipt["undo"].startswith("http://localhost/undo/")

    def test_a_plain_client_gets_204_for_the_last_piece(self, site: Site) -> None:
        path = begin(site, 3)
        last = send(site, path, 0, b"abc")
        assert (last.status_code, last.headers["Upload-Offset"]) == (204, "3")
        assert [record.name for record in uploads(site)] == ["file"]

    def test_a_finished_upload_still_says_that_it_has_all_bytes(self, site: Site) -> None:
        path = begin(site, 3)
        page = send(site, path, 0, b"abc").headers["Content-Location"]
        answer = call(site, "HEAD", path)
        assert (answer.headers["Upload-Offset"], answer.headers["Upload-Length"]) == ("3", "3")
        assert answer.headers["Content-Location"] == page

    def test_an_empty_upload_is_finished_when_it_begins(self, site: Site) -> None:
        begin(site, 0, filename="empty.txt")
        assert [(record.name, record.size) for record in uploads(site)] == [("empty.txt", 0)]

    def test_another_offset_is_a_conflict(self, site: Site) -> None:
        path = begin(site, 10)
        send(site, path, 0, b"abc")
        answer = send(site, path, 5, b"xyz")
        assert (answer.status_code, answer.get_json()["detail"]) == (409, {"offset": 3})
        assert offset(site, path) == 3

    def test_bytes_beyond_the_length_are_refused(self, site: Site) -> None:
        path = begin(site, 5)
        send(site, path, 0, b"abc")
        assert send(site, path, 3, b"defg").status_code == 400
        assert offset(site, path) == 3

    @pytest.mark.parametrize("version", ["", "0.2.2", "2.0.0"])
    def test_another_version_is_refused(self, site: Site, version: str) -> None:
        answer = site.client.post("/tus/", headers={"Tus-Resumable": version, "Upload-Length": "1"})
        assert (answer.status_code, answer.headers["Tus-Version"]) == (412, "1.0.0")

    def test_a_piece_says_what_it_is(self, site: Site) -> None:
        path = begin(site, 5)
        answer = call(site, "PATCH", path, b"abc", Upload_Offset=0, Content_Type="text/plain")
        assert answer.status_code == 415

    @pytest.mark.parametrize("length", ["", "-1", "many"])
    def test_a_length_is_a_number(self, site: Site, length: str) -> None:
        assert call(site, "POST", "/tus/", Upload_Length=length).status_code == 400

    def test_too_large_is_told_before_anything_is_sent(self, site: Site) -> None:
        limit = site.settings.max_content_length
        assert call(site, "POST", "/tus/", Upload_Length=limit + 1).status_code == 413

    @pytest.mark.parametrize("path", ["/tus/x", f"/tus/{'0' * 32}", "/tus/..%2f..%2fx"])
    def test_what_is_not_there_is_404(self, site: Site, path: str) -> None:
        assert call(site, "HEAD", path).status_code == 404
        assert send(site, path, 0, b"x").status_code == 404
        assert call(site, "DELETE", path).status_code == 404

    def test_post_stands_in_for_methods_that_a_network_stops(self, site: Site) -> None:
        path = begin(site, 3)
        headers: dict[str, Any] = {"X_HTTP_Method_Override": "PATCH", "Upload_Offset": 0, **PIECE}
        assert call(site, "POST", path, b"abc", **headers).status_code == 204
        assert call(site, "POST", path, X_HTTP_Method_Override="PUT").status_code == 400

    def test_pages_of_other_sites_cannot_send(self, site: Site) -> None:
        path = begin(site, 3)
        assert send(site, path, 0, b"abc", Sec_Fetch_Site="cross-site").status_code == 403


class TestExtensions:
    def test_the_first_piece_may_come_with_the_beginning(self, site: Site) -> None:
        answer = call(site, "POST", "/tus/", b"abc", Upload_Length=5, **PIECE)
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "3")
        send(site, answer.headers["Location"], 3, b"de")
        assert [record.size for record in uploads(site)] == [5]

    def test_a_piece_is_checked(self, site: Site) -> None:
        path = begin(site, 10)
        sha1 = base64.b64encode(hashlib.sha1(b"hello").digest()).decode()
        assert send(site, path, 0, b"hullo", Upload_Checksum=f"sha1 {sha1}").status_code == 460
        assert offset(site, path) == 0
        assert send(site, path, 0, b"hello", Upload_Checksum=f"sha1 {sha1}").status_code == 204
        assert send(site, path, 5, b"world", Upload_Checksum="crc32 AAAA").status_code == 400
        last = send(site, path, 5, b"world", Accept="application/json").get_json()
        digest = hashlib.sha256(b"helloworld").hexdigest()
        assert last["upload"]["digests"]["sha256"] == digest

    def test_an_upload_can_be_given_up(self, site: Site) -> None:
        path = begin(site, 10)
        send(site, path, 0, b"abc")
        assert call(site, "DELETE", path).status_code == 204
        assert call(site, "HEAD", path).status_code == 404

    def test_it_says_until_when_it_waits(self, site: Site) -> None:
        answer = call(site, "HEAD", begin(site, 10))
        assert answer.headers["Upload-Expires"].endswith(" GMT")


class TestWhatItEndsIn:
    def test_a_process_that_dies_before_it_noted_the_upload_makes_no_second_one(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = begin(site, 3, filename="a.txt")
        with monkeypatch.context() as patch:
            patch.setattr("httpbucket.services.resume.Resume._progress", _die)
            patch.setattr(type(_held(site, path)), "finish", _die)
            assert send(site, path, 0, b"abc").status_code == 500
        assert offset(site, path) == 2
        last = send(site, path, 2, b"c", Accept="application/json").get_json()
        assert [str(record.id) for record in uploads(site)] == [last["upload"]["id"]]

    def test_the_whole_content_is_checked(self, site: Site) -> None:
        wrong = f"sha256:{'0' * 64}"
        path = begin(site, 3, filename="a.txt", checksum=wrong)
        refused = send(site, path, 0, b"abc")
        assert (refused.status_code, refused.get_json()["problem"]) == (400, "digest-mismatch")
        assert uploads(site) == []

    @pytest.mark.parametrize("said", [{"checksum": "what"}, {"path": "../x"}, {"unpack": "maybe"}])
    def test_what_is_said_is_read_before_anything_is_sent(
        self, site: Site, said: dict[str, str]
    ) -> None:
        answer = call(site, "POST", "/tus/", Upload_Length=3, Upload_Metadata=metadata(**said))
        assert answer.status_code == 400

    def test_a_path_keeps_folders(self, site: Site) -> None:
        path = begin(site, 3, filename="a.txt", path="reports/unit")
        receipt = send(site, path, 0, b"abc", Accept="application/json").get_json()
        assert receipt["path"]["file"].endswith("/reports/unit/a.txt")

    def test_metadata_fill_templates_in_either_case(self, make_site: MakeSite) -> None:
        site = make_site(**TEMPLATE)
        path = begin(site, 3, filename="a.txt", Username="bob")
        receipt = send(site, path, 0, b"abc", Accept="application/json").get_json()
        (replica,) = receipt["path"]["replicas"]
        assert replica.startswith("replica/user/bob/a.")

    def test_an_archive_file_is_unpacked(self, site: Site) -> None:
        content = tar(tar_member("inside.txt", b"x"))
        path = begin(site, len(content), filename="a.tar")
        receipt = send(site, path, 0, content, Accept="application/json").get_json()
        assert receipt["path"]["archive"] == f"{receipt['path']['upload']}/a"

    def test_a_refusal_for_good_ends_it(self, site: Site) -> None:
        path = begin(site, 3, filename="a.txt", unpack="require")
        assert send(site, path, 0, b"abc").status_code == 422
        assert call(site, "HEAD", path).status_code == 404
        assert uploads(site) == []

    def test_what_may_work_later_can_be_tried_again_with_the_last_byte(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = begin(site, 3, filename="a.txt")

        def refuse(*_: object) -> None:
            raise StorageFull("The store has no room for this upload.")

        with monkeypatch.context() as patch:
            patch.setattr(site.stores.records, "publish", refuse)
            assert send(site, path, 0, b"abc").status_code == 507
        assert offset(site, path) == 2
        assert send(site, path, 2, b"X").status_code == 400
        assert send(site, path, 2, b"c").status_code == 204
        assert [record.name for record in uploads(site)] == ["a.txt"]

    def test_a_worker_that_did_not_see_the_first_pieces_hashes_all(self, site: Site) -> None:
        path = begin(site, 6)
        send(site, path, 0, b"abc")
        other = site.rebuilt(site.stores)
        receipt = send(other, path, 3, b"def", Accept="application/json").get_json()
        assert receipt["upload"]["digests"]["md5"] == hashlib.md5(b"abcdef").hexdigest()

    def test_a_hasher_that_missed_a_piece_is_not_believed(self, site: Site) -> None:
        path = begin(site, 9)
        send(site, path, 0, b"abc")
        send(site.rebuilt(site.stores), path, 3, b"def")
        receipt = send(site, path, 6, b"ghi", Accept="application/json").get_json()
        assert receipt["upload"]["digests"]["md5"] == hashlib.md5(b"abcdefghi").hexdigest()
