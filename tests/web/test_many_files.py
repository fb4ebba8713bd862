"""Many files in one request: an upload each, or one tree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from httpbucket.domain.errors import StorageFull
from httpbucket.domain.upload import Record
from httpbucket.services import ingest
from httpbucket.storage.base import BlobBatch
from httpbucket.storage.memory import MemoryRecords
from tests.backends import memory_stores
from tests.builders import tar, tar_member
from tests.examples import identity, kept_blobs
from tests.web.conftest import LIMIT, MakeSite, Site
from tests.web.forms import part, post


def named(content: bytes, path: str) -> bytes:
    """A file's part, its path in the filename as browsers and ``curl -F`` send it."""
    return part(content, disposition=f'name="file"; filename="{path}"')


def in_order(response: TestResponse) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    uploads: list[dict[str, Any]] = json.loads(response.text)["uploads"]
    return uploads


def post_tree(client: FlaskClient, *parts: bytes, name: str = "results") -> TestResponse:
    return post(client, *parts, headers={"Tree": name})


def listing(client: FlaskClient, receipt: dict[str, Any]) -> dict[str, bytes]:
    """The files of the receipt's tree, by path, as SHA256SUMS names them."""
    root = receipt["path"]["archive"]
    sums = client.get(f"/{root}/SHA256SUMS").text.splitlines()
    paths = [line.split("  ", 1)[1].removeprefix("./") for line in sums]
    return {path: client.get(f"/{root}/{path}").data for path in paths}


class TestUploadsOfTheirOwn:
    def test_each_file_is_an_upload(self, client: FlaskClient) -> None:
        response = post(client, named(b"one", "a.txt"), named(b"two", "b.txt"))
        uploads = in_order(response)
        assert [one["upload"]["filename"] for one in uploads] == ["a.txt", "b.txt"]
        assert [client.get(f"/{one['path']['blob']}").data for one in uploads] == [b"one", b"two"]

    def test_the_top_level_describes_the_first(self, client: FlaskClient) -> None:
        receipt = json.loads(post(client, named(b"one", "a"), named(b"two", "b")).text)
        first = receipt["uploads"][0]
        assert receipt == first | {"uploads": receipt["uploads"]}

    def test_a_single_file_has_no_list_of_uploads(self, client: FlaskClient) -> None:
        assert "uploads" not in json.loads(post(client, named(b"one", "a")).text)

    def test_directories_in_front_of_the_names_are_dropped(self, client: FlaskClient) -> None:
        uploads = in_order(post(client, named(b"one", "x/a.txt"), named(b"two", "y/a.txt")))
        assert [one["upload"]["filename"] for one in uploads] == ["a.txt", "a.txt"]

    def test_the_same_content_twice_is_two_uploads_of_one_blob(self, site: Site) -> None:
        uploads = in_order(post(site.client, *(named(b"same", name) for name in "abc")))
        assert len({one["upload"]["id"] for one in uploads}) == 3
        assert kept_blobs(site.stores.blobs) == [identity(b"same")]

    def test_archive_files_among_them_are_unpacked(self, client: FlaskClient) -> None:
        archive = tar(tar_member("inside", b"member"))
        uploads = in_order(post(client, named(b"one", "a"), named(archive, "b.tar")))
        assert listing(client, uploads[1]) == {"inside": b"member"}

    def test_over_a_thousand_files_are_taken(self, client: FlaskClient) -> None:
        parts = (named(b"%d" % number, f"{number}.txt") for number in range(1200))
        uploads = in_order(post(client, *parts))
        assert [one["upload"]["size"] for one in uploads[::400]] == [1, 3, 3]

    def test_when_one_is_refused_none_is_kept(self, site: Site) -> None:
        response = post(
            site.client,
            named(b"one", "a"),
            named(b"two", "b"),
            named(b"not an archive", "c"),
            headers={"Unpack": "require"},
        )
        assert response.status_code == 422
        assert list(site.stores.records.ids()) == []

    def test_together_they_share_the_limit(self, site: Site) -> None:
        parts = [named(bytes(LIMIT // 4), str(number)) for number in range(5)]
        response = post(site.client, *parts)
        assert (response.status_code, kept_blobs(site.stores.blobs)) == (413, [])

    def test_what_was_published_before_the_store_failed_is_named(self, make_site: MakeSite) -> None:
        class Failing(MemoryRecords):
            def publish(self, record: Record, members: BlobBatch | None = None) -> None:
                if len(list(self.ids())) == 2:
                    raise StorageFull("No room.")
                super().publish(record, members)

        site = make_site().rebuilt(memory_stores(records=Failing()))
        response = post(site.client, *(named(b"x", name) for name in "abcd"))
        kept = [str(upload) for upload in site.stores.records.ids()]
        assert response.status_code == 507
        assert sorted(json.loads(response.text)["detail"]["kept"]) == kept

    def test_too_many_to_be_uploads_of_their_own(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ingest, "MOST_UPLOADS", 2)
        response = post(site.client, *(named(b"x", name) for name in "abc"))
        assert (response.status_code, response.get_json()["problem"]) == (413, "several-files")
        assert post_tree(site.client, *(named(b"x", name) for name in "abc")).status_code == 200

    def test_more_parts_than_members_are_allowed(self, make_site: MakeSite) -> None:
        site = make_site(UNPACK_MAX_MEMBERS="3")
        response = post(site.client, *(named(b"x", name) for name in "abcd"))
        assert (response.status_code, response.get_json()["problem"]) == (413, "too-many-parts")

    def test_text_fields_are_bounded_together(self, client: FlaskClient) -> None:
        fields = (part(bytes(200_000), disposition=f'name="field{n}"') for n in range(3))
        response = post(client, named(b"x", "a"), *fields)
        assert response.status_code == 413

    def test_a_browser_is_led_to_the_newest_uploads(self, client: FlaskClient) -> None:
        headers = {"Accept": "text/html"}
        response = post(client, named(b"one", "a"), named(b"two", "b"), headers=headers)
        assert (response.status_code, response.location) == (303, "/uploads")


class TestTrees:
    def test_the_files_are_one_upload_with_one_tree(self, client: FlaskClient) -> None:
        response = post_tree(client, named(b"one", "a.txt"), named(b"two", "deep/down/b.txt"))
        receipt = response.get_json()
        assert receipt["upload"]["filename"] == "results"
        assert receipt["upload"]["size"] == 6
        assert (receipt["checksum"]["archive"], receipt["path"]["blob"]) == (None, None)
        assert listing(client, receipt) == {"a.txt": b"one", "deep/down/b.txt": b"two"}

    @pytest.mark.parametrize("where", ["header", "query", "field"])
    def test_its_name_may_come_as_header_query_or_field(
        self, client: FlaskClient, where: str
    ) -> None:
        field = [part(b"named", disposition='name="tree"')] if where == "field" else []
        response = client.post(
            "/upload?Tree=named" if where == "query" else "/upload",
            data=b"".join([named(b"x", "a"), *field]) + b"--bdry--\r\n",
            content_type="multipart/form-data; boundary=bdry",
            headers={"Tree": "named"} if where == "header" else {},
        )
        assert response.get_json()["path"]["archive"].endswith("/named")

    def test_a_directory_called_as_the_tree_is_the_tree(self, client: FlaskClient) -> None:
        parts = [named(b"one", "results/a"), named(b"two", "./results/b")]
        assert listing(client, post_tree(client, *parts).get_json()) == {"a": b"one", "b": b"two"}

    def test_the_same_files_again_are_the_same_manifest(self, site: Site) -> None:
        parts = [named(b"one", "a"), named(b"two", "b")]
        post_tree(site.client, *parts)
        post_tree(site.client, *reversed(parts), name="other")
        manifests = {site.stores.records.load(one).manifest for one in site.stores.records.ids()}
        assert len(manifests) == 1

    @pytest.mark.parametrize("path", ["../a", "/etc/passwd", "a/../../b", "C:/a", "a\x7fb", "a/"])
    def test_an_unsafe_path_refuses_it_all(self, site: Site, path: str) -> None:
        response = post_tree(site.client, named(b"one", "good"), named(b"two", path))
        answer = response.get_json()
        assert (response.status_code, answer["problem"]) == (400, "unsafe-path")
        assert repr(path)[1:-1] in answer["error"]
        assert kept_blobs(site.stores.blobs) == []

    def test_of_two_files_at_one_path_the_last_stays_and_it_is_told(
        self, client: FlaskClient
    ) -> None:
        receipt = post_tree(client, named(b"one", "a"), named(b"two", "./a")).get_json()
        assert [one["problem"] for one in receipt["upload"]["findings"]] == ["duplicate-member"]
        assert listing(client, receipt) == {"a": b"two"}

    def test_archive_files_in_it_stay_files(self, client: FlaskClient) -> None:
        archive = tar(tar_member("inside", b"member"))
        receipt = post_tree(client, named(archive, "a.tar"), named(b"x", "b")).get_json()
        assert listing(client, receipt) == {"a.tar": archive, "b": b"x"}

    def test_it_is_replicated_as_one(self, make_site: MakeSite) -> None:
        client = make_site(REPLICATE_0="user/${USERNAME}").client
        response = post(
            client, named(b"x", "a"), named(b"y", "b"), headers={"Tree": "t", "Username": "bob"}
        )
        (replica,) = response.get_json()["upload"]["replicas"]
        assert (replica["part"], replica["latest"]) == ("tree", ["t.latest"])
        assert client.get("/replica/user/bob/t.latest/b").data == b"y"

    def test_a_file_without_a_name_has_no_path(self, client: FlaskClient) -> None:
        response = post_tree(client, named(b"x", "a"), named(b"y", ""))
        assert response.get_json()["problem"] == "unsafe-path"

    def test_its_pages_show_no_file_that_there_is_not(self, client: FlaskClient) -> None:
        upload = post_tree(client, named(b"x", "a")).get_json()
        browser = {"Accept": "text/html"}
        pages = ["/", f"/uploads/{upload['upload']['id']}", f"/{upload['path']['archive']}/"]
        for page in [*pages, f"/{upload['path']['archive']}/a?view"]:
            response = client.get(page, headers=browser)
            assert response.status_code == 200
            assert "results" in response.text

    def test_a_file_in_it_is_of_the_time_when_it_came(self, client: FlaskClient) -> None:
        upload = post_tree(client, named(b"x", "a")).get_json()
        answer = client.get(f"/{upload['path']['archive']}/a")
        assert answer.headers["Last-Modified"] == "Sat, 21 Nov 2026 14:32:05 GMT"


class TestDigestsOfParts:
    def test_each_part_is_held_to_its_own_digest(self, client: FlaskClient) -> None:
        parts = [
            part(
                content,
                disposition=f'name="file"; filename="{content.decode()}"',
                more=f"X-Checksum-Sha256: {identity(content).hex}\r\n",
            )
            for content in (b"one", b"two")
        ]
        assert len(in_order(post(client, *parts))) == 2
        assert post_tree(client, *parts).status_code == 200

    @pytest.mark.parametrize("tree", [{}, {"Tree": "results"}])
    def test_one_that_has_another_refuses_it_all(self, site: Site, tree: dict[str, str]) -> None:
        wrong = part(
            b"two",
            disposition='name="file"; filename="two"',
            more=f"X-Checksum-Sha256: {identity(b'other').hex}\r\n",
        )
        response = post(site.client, named(b"one", "one"), wrong, headers=tree)
        assert (response.status_code, response.get_json()["problem"]) == (400, "digest-mismatch")
        assert list(site.stores.records.ids()) == []


def test_shells_are_told_an_address_a_line(client: FlaskClient) -> None:
    headers = {"Accept": "text/plain"}
    response = post(client, named(b"one", "a"), named(b"two", "b"), headers=headers)
    addresses = response.text.splitlines()
    assert [client.get(address).data for address in addresses] == [b"one", b"two"]


class TestRetries:
    def test_a_tree_with_a_key_that_came_is_the_same_upload(self, site: Site) -> None:
        headers = {"Tree": "results", "Idempotency-Key": "once"}
        parts = [named(b"one", "a"), named(b"two", "b")]
        first, again = (post(site.client, *parts, headers=headers).get_json() for _ in range(2))
        assert again["upload"] == first["upload"]
        assert len(list(site.stores.records.ids())) == 1

    def test_another_tree_with_that_key_is_refused(self, client: FlaskClient) -> None:
        headers = {"Tree": "results", "Idempotency-Key": "once"}
        post(client, named(b"one", "a"), named(b"two", "b"), headers=headers)
        answer = post(client, named(b"one", "a"), headers=headers).get_json()
        assert answer["problem"] == "idempotency-key-reused"
