"""``/tree``: a list of digests, then what was missing."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from httpbucket.domain.errors import StorageUnavailable
from httpbucket.domain.pending_tree import PendingTree
from httpbucket.domain.upload import Record
from httpbucket.storage.base import BlobBatch
from httpbucket.storage.memory import MemoryPendingTrees
from httpbucket.web.trees import MOST_LIST_BYTES
from tests.builders import tar, tar_member
from tests.examples import identity, kept_blobs
from tests.web.conftest import LIMIT, MakeSite, Site
from tests.web.forms import upload
from tests.web.test_many_files import listing

FILES = {"results/a.txt": b"one", "results/deep/b.txt": b"two", "results/c.txt": b"three"}


def sums(files: dict[str, bytes], algorithm: str = "sha256") -> bytes:
    """What ``sha256sum`` and its kin print."""
    digests = (
        (hashlib.new(algorithm, content).hexdigest(), path) for path, content in files.items()
    )
    return "".join(f"{hexadecimal}  {path}\n" for hexadecimal, path in digests).encode()


def offer(client: FlaskClient, body: bytes, name: str = "results", **options: Any) -> TestResponse:
    """POST the list as ``curl --data-binary`` does."""
    kind = "application/x-www-form-urlencoded"
    return client.post(f"/tree?name={name}", data=body, content_type=kind, **options)


def archive(files: dict[str, bytes], *paths: str) -> bytes:
    return tar(*(tar_member(path, files[path]) for path in paths or files))


def paths(response: TestResponse) -> list[str]:
    return response.text.splitlines()


def receipt_of(response: TestResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    receipt: dict[str, Any] = json.loads(response.text)
    return receipt


def in_tree(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path.removeprefix("results/"): content for path, content in files.items()}


def _die(*arguments: object) -> None:
    raise RuntimeError("as if killed")


class TestWhatIsMissing:
    def test_everything_of_which_nothing_is_kept(self, client: FlaskClient) -> None:
        response = offer(client, sums(FILES))
        assert (response.status_code, paths(response)) == (202, list(FILES))
        assert response.mimetype == "text/plain"

    def test_only_what_is_not_kept(self, client: FlaskClient) -> None:
        upload(client, b"one")
        assert paths(offer(client, sums(FILES))) == ["results/deep/b.txt", "results/c.txt"]

    def test_equal_files_are_asked_for_once(self, client: FlaskClient) -> None:
        files = {"results/a": b"same", "results/b": b"same"}
        assert paths(offer(client, sums(files))) == ["results/a"]

    @pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha512"])
    def test_by_other_digests(self, client: FlaskClient, algorithm: str) -> None:
        upload(client, b"one")
        known = [] if algorithm == "sha1" else ["results/a.txt"]
        missing = paths(offer(client, sums(FILES, algorithm)))
        assert missing == [path for path in FILES if path not in known]

    def test_nothing_is_published_yet(self, site: Site) -> None:
        offer(site.client, sums(FILES))
        assert list(site.stores.records.ids()) == []

    def test_a_path_that_looks_like_an_option_does_not(self, client: FlaskClient) -> None:
        assert paths(offer(client, sums({"-rf": b"x"}))) == ["./-rf"]

    def test_paths_come_byte_for_byte_as_they_were_sent(self, client: FlaskClient) -> None:
        body = identity(b"x").hex.encode() + b"  results/caf\xe9 \xc3\xa9.txt\n"
        assert offer(client, body).data == b"results/caf\xe9 \xc3\xa9.txt\n"

    def test_the_next_step_is_the_location(self, client: FlaskClient) -> None:
        response = offer(client, sums(FILES))
        assert client.get(response.headers["Location"]).text == response.text

    def test_below_a_prefix_too(self, client: FlaskClient) -> None:
        response = client.post("/tree?name=r", data=sums(FILES), base_url="http://localhost/p")
        assert response.headers["Location"].startswith("/p/tree/")

    def test_programs_may_ask_for_json(self, client: FlaskClient) -> None:
        answer = offer(client, sums(FILES), headers={"Accept": "application/json"}).get_json()
        assert answer == {"code": 202, "status": "Accepted", "missing": list(FILES)}


class TestATreeOfWhichAllIsKept:
    @pytest.fixture
    def complete(self, client: FlaskClient) -> TestResponse:
        for content in FILES.values():
            upload(client, content)
        return offer(client, sums(FILES))

    def test_nothing_is_missing(self, complete: TestResponse) -> None:
        assert (complete.status_code, complete.data) == (200, b"")

    def test_it_is_an_upload(self, client: FlaskClient, complete: TestResponse) -> None:
        shown = client.get(complete.headers["Content-Location"]).get_json()
        assert listing(client, shown) == in_tree(FILES)

    @pytest.mark.parametrize("body", [b"", tar(), b"tar: this is not a tar"])
    def test_a_script_that_goes_on_gets_the_receipt(
        self, client: FlaskClient, complete: TestResponse, body: bytes
    ) -> None:
        receipt = receipt_of(client.put(complete.headers["Location"], data=body))
        assert complete.headers["Content-Location"] == f"/uploads/{receipt['upload']['id']}"

    def test_nothing_of_it_is_freed_before_it_is_an_upload(self, site: Site) -> None:
        for content in FILES.values():
            upload(site.client, content)
        publish = site.stores.records.publish
        freed: list[int | None] = []

        def publish_late(record: Record, members: BlobBatch | None = None) -> None:
            assert record.manifest is not None
            contents = (record.manifest, *map(identity, FILES.values()))
            freed.extend(site.stores.blobs.free(digest) for digest in contents)
            publish(record, members)

        site.stores.records.publish = publish_late  # type: ignore[method-assign]
        assert offer(site.client, sums(FILES)).status_code == 200
        assert freed == [None] * 4

    def test_json_is_the_receipt(self, client: FlaskClient, complete: TestResponse) -> None:
        answer = offer(client, sums(FILES), headers={"Accept": "application/json"})
        assert receipt_of(answer)["upload"]["filename"] == "results"
        assert complete.status_code == 200


class TestSendingWhatIsMissing:
    def test_completes_the_tree(self, client: FlaskClient) -> None:
        upload(client, b"one")
        offered = offer(client, sums(FILES))
        body = archive(FILES, *paths(offered))
        receipt = receipt_of(client.put(offered.headers["Location"], data=body))
        assert listing(client, receipt) == in_tree(FILES)
        assert (receipt["upload"]["filename"], receipt["checksum"]["archive"]) == ("results", None)
        assert receipt["upload"]["findings"] == []

    @pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
    def test_by_any_digest(self, client: FlaskClient, algorithm: str) -> None:
        offered = offer(client, sums(FILES, algorithm))
        receipt = receipt_of(client.put(offered.headers["Location"], data=archive(FILES)))
        assert listing(client, receipt) == in_tree(FILES)

    def test_compressed(self, client: FlaskClient) -> None:
        offered = offer(client, sums(FILES))
        body = gzip.compress(archive(FILES))
        receipt = receipt_of(client.put(offered.headers["Location"], data=body))
        assert listing(client, receipt) == in_tree(FILES)

    @pytest.mark.parametrize("prefix", ["./", ""])
    def test_paths_that_begin_in_the_directory_itself(
        self, client: FlaskClient, prefix: str
    ) -> None:
        files = {f"{prefix}{path}": content for path, content in in_tree(FILES).items()}
        offered = offer(client, sums(files))
        receipt = receipt_of(client.put(offered.headers["Location"], data=archive(files)))
        assert listing(client, receipt) == in_tree(FILES)

    def test_a_path_that_is_no_utf_8(self, client: FlaskClient) -> None:
        path = b"results/caf\xe9"
        offered = offer(client, identity(b"x").hex.encode() + b"  " + path + b"\n")
        body = tar(tar_member(path, b"x"))
        receipt = receipt_of(client.put(offered.headers["Location"], data=body))
        root = receipt["path"]["archive"]
        assert client.get(f"/{root}/caf%25E9").data == b"x"

    def test_gives_the_manifest_that_the_files_alone_give(self, site: Site) -> None:
        offered = offer(site.client, sums(FILES))
        site.client.put(offered.headers["Location"], data=archive(FILES))
        offer(site.client, sums(FILES))
        records = [site.stores.records.load(one) for one in site.stores.records.ids()]
        assert len(records) == 2
        assert len({record.manifest for record in records}) == 1

    def test_in_several_parts(self, client: FlaskClient) -> None:
        location = offer(client, sums(FILES)).headers["Location"]
        first = client.put(location, data=archive(FILES, "results/a.txt"))
        assert (first.status_code, paths(first)) == (202, ["results/deep/b.txt", "results/c.txt"])
        last = client.put(location, data=archive(FILES, *paths(first)))
        assert listing(client, receipt_of(last)) == in_tree(FILES)

    def test_in_several_tars_one_behind_the_other(self, client: FlaskClient) -> None:
        location = offer(client, sums(FILES)).headers["Location"]
        body = b"".join(archive(FILES, path) + bytes(8192) for path in FILES)
        assert listing(client, receipt_of(client.put(location, data=body))) == in_tree(FILES)

    @pytest.mark.parametrize("body", [b"", tar(), archive({"x": b"x"})])
    def test_a_tar_without_any_of_it_is_refused_and_changes_nothing(
        self, client: FlaskClient, body: bytes
    ) -> None:
        location = offer(client, sums(FILES)).headers["Location"]
        answer = client.put(location, data=body)
        assert (answer.status_code, answer.get_json()["problem"]) == (400, "missing-file")
        assert paths(client.get(location)) == list(FILES)

    def test_sending_it_again_is_the_same_upload(self, site: Site) -> None:
        location = offer(site.client, sums(FILES)).headers["Location"]
        first, second = (
            receipt_of(site.client.put(location, data=archive(FILES))) for _ in range(2)
        )
        assert first["upload"] == second["upload"]
        assert len(list(site.stores.records.ids())) == 1

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_after_a_crash_before_it_was_noted_too(self, make_site: MakeSite, method: str) -> None:
        class Forgetful(MemoryPendingTrees):
            def save(self, pending: PendingTree) -> None:
                if pending.upload:
                    raise StorageUnavailable("The process died.")
                super().save(pending)

        site = make_site()
        site = site.rebuilt(replace(site.stores, pending_trees=Forgetful()))
        location = offer(site.client, sums(FILES)).headers["Location"]
        receipt = receipt_of(site.client.put(location, data=archive(FILES)))
        again = site.client.open(location, method=method, headers={"Accept": "application/json"})
        assert receipt_of(again)["upload"] == receipt["upload"]
        assert len(list(site.stores.records.ids())) == 1

    def test_members_that_are_no_files_of_the_tree_are_left_out_and_told(self, site: Site) -> None:
        location = offer(site.client, sums(FILES)).headers["Location"]
        body = archive(FILES | {"results/more.txt": b"more"})
        receipt = receipt_of(site.client.put(location, data=body))
        assert [one["problem"] for one in receipt["upload"]["findings"]] == ["member-left-out"]
        assert identity(b"more") not in kept_blobs(site.stores.blobs)

    def test_the_headers_of_the_list_say_where_it_is_replicated(self, make_site: MakeSite) -> None:
        client = make_site(REPLICATE_0="user/${USERNAME}").client
        offered = offer(client, sums(FILES), headers={"Username": "bob"})
        receipt = receipt_of(client.put(offered.headers["Location"], data=archive(FILES)))
        assert receipt["path"]["replicas"] == ["replica/user/bob/results.20261121.1432.0"]

    def test_what_went_in_between_is_missing_again(self, site: Site) -> None:
        upload(site.client, b"one")
        location = offer(site.client, sums(FILES)).headers["Location"]
        site.stores.blobs._blobs.pop(identity(b"one"))  # type: ignore[attr-defined]
        body = archive(FILES, "results/deep/b.txt", "results/c.txt")
        answer = site.client.put(location, data=body)
        assert (answer.status_code, paths(answer)) == (202, ["results/a.txt"])


class TestRefusals:
    def refused(self, response: TestResponse, status: int, problem: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(response.text)
        assert (response.status_code, answer["problem"]) == (status, problem)
        return answer

    def test_a_list_without_a_name_for_the_tree(self, client: FlaskClient) -> None:
        self.refused(client.post("/tree", data=sums(FILES)), 400, "empty-filename")

    @pytest.mark.parametrize("body", [b"", b"\n", b"not a digest\n", b"<html>"])
    def test_what_is_no_list(self, client: FlaskClient, body: bytes) -> None:
        self.refused(offer(client, body), 400, "malformed-checksums")

    @pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a\\b", "results/", "."])
    def test_a_path_that_is_none_in_a_tree(self, client: FlaskClient, path: str) -> None:
        self.refused(offer(client, sums({path: b"x"})), 400, "unsafe-path")

    def test_more_files_than_members_are_allowed(self, make_site: MakeSite) -> None:
        client = make_site(UNPACK_MAX_MEMBERS="2").client
        self.refused(offer(client, sums(FILES)), 413, "too-many-checksums")

    def test_a_list_that_is_too_long_before_it_is_read(self, client: FlaskClient) -> None:
        unread = {"CONTENT_LENGTH": str(MOST_LIST_BYTES + 1), "wsgi.input": None}
        response = client.post("/tree?name=results", environ_overrides=unread)
        self.refused(response, 413, "too-many-checksums")

    @pytest.mark.parametrize("again", ["results/a.txt", "./results//a.txt"])
    def test_a_path_that_is_to_have_two_digests(self, client: FlaskClient, again: str) -> None:
        response = offer(client, sums(FILES) + sums({again: b"other"}))
        answer = self.refused(response, 400, "malformed-checksums")
        assert "'results/a.txt'" in answer["error"]
        assert identity(b"other").hex in answer["error"]

    def test_a_path_that_is_named_twice_with_one_digest_is_taken(self, client: FlaskClient) -> None:
        assert offer(client, sums(FILES) + sums(FILES)).status_code == 202

    def test_a_tree_that_nobody_offered(self, client: FlaskClient) -> None:
        for id in ("0" * 32, "x", ".lock"):
            self.refused(client.put(f"/tree/{id}", data=tar()), 404, "tree-not-found")

    def test_a_tree_that_expired(self, make_site: MakeSite) -> None:
        site = make_site()
        location = offer(site.client, sums(FILES)).headers["Location"]
        with site.stores.pending_trees.hold(location.rpartition("/")[2]) as tree:
            assert site.stores.pending_trees.sweep(tree.expires.replace(year=2027)) == 1
        self.refused(site.client.put(location, data=tar()), 404, "tree-not-found")

    def test_a_member_that_is_not_what_was_listed(self, site: Site) -> None:
        location = offer(site.client, sums(FILES)).headers["Location"]
        body = archive(FILES | {"results/c.txt": b"changed"})
        answer = self.refused(site.client.put(location, data=body), 400, "digest-mismatch")
        assert "results/c.txt" in answer["error"]
        assert kept_blobs(site.stores.blobs) == []

    def test_a_tar_that_is_cut(self, site: Site) -> None:
        location = offer(site.client, sums(FILES)).headers["Location"]
        body = archive(FILES)[:-1024]
        self.refused(site.client.put(location, data=body), 422, "truncated-archive")
        assert kept_blobs(site.stores.blobs) == []

    def test_what_is_no_archive_file(self, client: FlaskClient) -> None:
        location = offer(client, sums(FILES)).headers["Location"]
        self.refused(client.put(location, data=b"just text"), 422, "unsupported-archive")

    def test_more_bytes_than_one_act_may_bring(self, site: Site) -> None:
        files = {f"results/{number}": bytes([number]) * (LIMIT // 2) for number in range(3)}
        location = offer(site.client, sums(files)).headers["Location"]
        self.refused(site.client.put(location, data=archive(files)), 413, "too-large")
        assert kept_blobs(site.stores.blobs) == []
