"""DELETE, undo and the mark that keeps: what is refused, and what is answered."""

from __future__ import annotations

import gzip
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder

from httpbucket.domain.upload import Receipt
from httpbucket.services.undo import Undo
from tests.builders import tar, tar_member
from tests.examples import NOW, descriptor, identity, record_of, upload_id
from tests.web.conftest import MakeSite, Site, site_on

CONTENT = b"some content"
HTML = {"Accept": "text/html"}


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(ANONYMOUS="read upload delete", REPLICATE_0="user/${USERNAME}")


def upload(client: FlaskClient, content: bytes = CONTENT, name: str = "a.xml") -> dict[str, Any]:
    answer = client.post(
        "/upload", data={"file": (BytesIO(content), name)}, headers={"Username": "bob"}
    )
    assert answer.json is not None
    return dict(answer.json)


def undo_path(receipt: dict[str, Any]) -> str:
    return str(receipt["undo"]).removeprefix("http://localhost")


class TestDeleting:
    def test_the_answer_says_what_was_freed(self, client: FlaskClient) -> None:
        receipt = upload(client)
        answer = client.delete(f"/uploads/{receipt['upload']['id']}")
        assert answer.json == {
            "code": 200,
            "status": "Success",
            "deleted": receipt["path"]["upload"],
            "bytes_freed": len(CONTENT),
            "bytes_shared": 0,
            "shared_with": [],
            "finished": True,
        }
        assert answer.headers["Cache-Control"] == "no-store"
        assert client.head(f"/checksum/{receipt['checksum']['blob']}").status_code == 404
        assert client.get(f"/uploads/{receipt['upload']['id']}").status_code == 404
        assert client.delete(f"/uploads/{receipt['upload']['id']}").status_code == 404

    def test_what_is_shared_is_told(self, client: FlaskClient) -> None:
        first, second = upload(client), upload(client)
        answer = client.delete(f"/uploads/{first['upload']['id']}")
        assert answer.json is not None
        assert answer.json["bytes_shared"] == len(CONTENT)
        assert answer.json["shared_with"] == [second["upload"]["id"]]

    @pytest.mark.parametrize("end", ["", "/"])
    def test_the_directory_names_the_upload_too(self, client: FlaskClient, end: str) -> None:
        receipt = upload(client)
        assert client.delete(f"/{receipt['path']['upload']}{end}").status_code == 200
        assert client.get(f"/{receipt['path']['upload']}/").status_code == 404

    @pytest.mark.parametrize(
        ("path", "code"),
        [
            ("{upload}/a.xml", 409),
            ("archive/2026", 409),
            ("archive/2026/11/21", 409),
            ("archive/2026/11/21/nothing", 404),
            ("archive/foo", 404),
            ("archive/foo/", 404),
            ("archive/2026/x", 404),
            ("archive/2026/11/x", 404),
            ("archive/2025/11/21/{id}", 409),
            ("archive/%2e%2e/x", 404),
            ("replica/user/bob", 409),
            ("replica/user/bob/a.latest.xml", 409),
            ("replica/user/bob/nothing", 404),
            ("replica/user/eve", 404),
        ],
    )
    def test_only_whole_uploads_and_replicas_can_go(
        self, client: FlaskClient, path: str, code: int
    ) -> None:
        receipt = upload(client)
        text = path.format(upload=receipt["path"]["upload"], id=receipt["upload"]["id"])
        answer = client.delete(f"/{text}")
        assert answer.status_code == code, answer.text
        assert client.get(f"/uploads/{receipt['upload']['id']}").status_code == 200

    def test_a_replica_goes_alone(self, client: FlaskClient) -> None:
        receipt = upload(client)
        (path,) = receipt["path"]["replicas"]
        assert client.delete(f"/{path}").status_code == 200
        assert client.get(f"/{path}").status_code == 404
        assert client.get(f"/{receipt['path']['upload']}/a.xml").data == CONTENT
        shown = client.get(f"/uploads/{receipt['upload']['id']}").json
        assert shown is not None
        assert shown["path"]["replicas"] is None

    def test_a_replica_goes_only_of_the_upload_that_is_named(self, client: FlaskClient) -> None:
        first = upload(client)
        (path,) = first["path"]["replicas"]
        assert client.delete(f"/{path}?upload={first['upload']['id']}").status_code == 200
        second = upload(client)
        assert second["path"]["replicas"] == [path]
        for another in (first["upload"]["id"], "nonsense"):
            assert client.delete(f"/{path}?upload={another}").status_code == 404
        assert client.get(f"/{path}").status_code == 200
        assert client.delete(f"/{path}?upload={second['upload']['id']}").status_code == 200

    def test_a_part_of_a_replica_does_not(self, client: FlaskClient) -> None:
        archive = gzip.compress(tar(tar_member("dir/file", b"1")))
        (path,) = upload(client, archive, "a.tgz")["path"]["replicas"]
        answer = client.delete(f"/{path}/dir/file")
        assert answer.status_code == 409
        assert answer.json is not None
        assert path in answer.json["error"]

    def test_another_site_s_page_cannot_delete(self, client: FlaskClient) -> None:
        path = f"/uploads/{upload(client)['upload']['id']}"
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}):
            assert client.delete(path, headers=headers).status_code == 403


class TestAbilities:
    @pytest.mark.parametrize(
        ("anonymous", "method", "path", "code"),
        [
            ("read,upload", "DELETE", "/uploads/x", 403),
            ("read,upload", "DELETE", "/archive/x", 403),
            ("read,upload", "DELETE", "/replica/x", 403),
            ("read,upload", "PUT", "/uploads/x/keep", 403),
            ("read,upload", "DELETE", "/config", 405),
            ("read,upload", "DELETE", "/nowhere", 404),
            ("read,upload", "GET", "/config", 200),
            ("upload", "GET", "/config", 403),
            ("upload", "HEAD", f"/checksum/{'0' * 64}", 403),
            ("upload", "POST", "/upload", 400),
            ("read", "POST", "/upload", 403),
            ("none", "GET", "/ping", 200),
            ("none", "GET", "/", 403),
            ("none", "GET", "/undo/x", 403),
        ],
    )
    def test_each_setting_opens_what_it_says(
        self, make_site: MakeSite, anonymous: str, method: str, path: str, code: int
    ) -> None:
        client = make_site(ANONYMOUS=anonymous).client
        assert client.open(path, method=method).status_code == code

    def test_the_sentence_says_which_setting_opens_it(self, make_site: MakeSite) -> None:
        answer = make_site().client.delete(f"/uploads/{upload_id()}")
        assert answer.json is not None
        assert answer.json["problem"] == "not-allowed"
        assert "ANONYMOUS=read,upload,delete" in answer.json["error"]


class TestUndo:
    @pytest.mark.parametrize("method", ["POST", "DELETE"])
    def test_a_producer_takes_its_upload_back(self, make_site: MakeSite, method: str) -> None:
        client = make_site().client
        receipt = upload(client)
        answer = client.open(undo_path(receipt), method=method)
        assert answer.json is not None
        assert answer.json["bytes_freed"] == len(CONTENT)
        assert client.get(f"/uploads/{receipt['upload']['id']}").status_code == 404

    def test_looking_deletes_nothing(self, client: FlaskClient) -> None:
        receipt = upload(client)
        assert client.head(undo_path(receipt)).status_code == 200
        page = client.get(undo_path(receipt))
        assert "<strong>a.xml</strong>, 12 B" in page.text
        assert (page.headers["Cache-Control"], page.mimetype) == ("no-store", "text/html")
        assert client.get(f"/uploads/{receipt['upload']['id']}").status_code == 200

    def test_a_browser_gets_a_page(self, client: FlaskClient) -> None:
        answer = client.post(undo_path(upload(client)), headers=HTML)
        assert (answer.status_code, answer.mimetype) == (200, "text/html")
        assert "12 B were freed" in answer.text

    def test_the_address_is_in_the_first_answer_only(self, client: FlaskClient) -> None:
        receipt = upload(client)
        token = undo_path(receipt).removeprefix("/undo/")
        for path in (f"/uploads/{receipt['upload']['id']}", f"/{receipt['path']['upload']}/"):
            for headers in ({}, HTML):
                assert token not in client.get(path, headers=headers).text
        assert token not in " ".join(receipt["log"])

    def test_who_only_knows_key_and_digest_is_not_given_it(self, client: FlaskClient) -> None:
        headers = {"Idempotency-Key": "k", "X-Checksum-Sha256": identity(CONTENT).hex}
        first = client.put("/upload/a.xml", data=CONTENT, headers=headers)
        again = client.put("/upload/a.xml", headers=headers | {"X-Checksum-Deploy": "true"})
        assert (first.status_code, again.status_code) == (200, 200)
        assert ("undo" in first.get_json(), "undo" in again.get_json()) == (True, False)

    def test_its_time_counts_from_when_the_upload_came(self, site: Site) -> None:
        receipt = upload(site.client)
        seconds = site.settings.undo_seconds
        later = site_on(
            site.settings, site.stores, now=lambda: NOW + timedelta(seconds=seconds - 1)
        )
        assert later.client.get(undo_path(receipt)).status_code == 200
        late = timedelta(seconds=seconds + 1)
        over = site_on(site.settings, site.stores, now=lambda: NOW + late)
        assert over.client.delete(undo_path(receipt)).status_code == 403

    def test_an_access_log_does_not_show_it(self, site: Site) -> None:
        path = undo_path(upload(site.client))
        environ = EnvironBuilder(path).get_environ() | {"RAW_URI": path}
        list(site.app(environ, lambda *_: lambda _: None))
        # Where gunicorn takes it from (gunicorn/glogging.py, Logger.atoms).
        assert (environ["RAW_URI"], environ["PATH_INFO"]) == ("/undo/-", "/undo/-")

    @pytest.mark.parametrize("token", ["x", "WyJ4Il0.x", "%00", "a.b.c"])
    def test_another_address_is_refused(self, client: FlaskClient, token: str) -> None:
        answer = client.delete(f"/undo/{token}")
        assert answer.json is not None
        assert (answer.status_code, answer.json["problem"]) == (403, "invalid-undo")

    @pytest.mark.parametrize(
        ("secret", "seconds"), [(b"another secret", 60), (b"a secret of tests", -1)]
    )
    def test_a_foreign_signature_or_an_old_one_is_refused(
        self, client: FlaskClient, secret: bytes, seconds: int
    ) -> None:
        receipt = upload(client)
        undo = Undo(secret, seconds=seconds, now=lambda: NOW)
        token = undo.token(Receipt(record_of(descriptor(CONTENT)), ()))
        assert client.delete(f"/undo/{token}").status_code == 403
        assert client.get(f"/uploads/{receipt['upload']['id']}").status_code == 200

    def test_without_a_time_there_is_none(self, make_site: MakeSite) -> None:
        assert "undo" not in upload(make_site(UNDO_SECONDS="0").client)


class TestKeeping:
    def test_a_marked_upload_cannot_be_deleted_until_the_mark_goes(
        self, client: FlaskClient
    ) -> None:
        receipt = upload(client)
        path = f"/uploads/{receipt['upload']['id']}"
        for _ in range(2):
            answer = client.put(f"{path}/keep")
            assert answer.json is not None
            assert answer.json["upload"]["keep"] is True
        assert client.delete(path).status_code == 409
        assert client.delete(undo_path(receipt)).status_code == 409
        answer = client.delete(f"{path}/keep")
        assert answer.json is not None
        assert answer.json["upload"]["keep"] is False
        assert client.delete(path).status_code == 200

    def test_what_is_not_there_cannot_be_marked(self, client: FlaskClient) -> None:
        assert client.put(f"/uploads/{upload_id()}/keep").status_code == 404
