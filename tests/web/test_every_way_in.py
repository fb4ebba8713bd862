"""What every way in promises, asked of each of them."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from werkzeug.test import TestResponse

from httpbucket.domain.errors import StorageFull
from httpbucket.domain.upload import Record
from httpbucket.storage.base import StagedFile
from tests.examples import identity, kept_blobs
from tests.web.conftest import LIMIT, MakeSite, Site
from tests.web.test_trees import FILES, archive, sums

CONTENT = b"some content"

# Sends what makes one upload, with these headers; the answer is the last that the client gets.
Send = Callable[[Site, dict[str, str]], TestResponse]


def _form(site: Site, headers: dict[str, str]) -> TestResponse:
    return site.client.post("/upload", data={"file": _file("a.xml")}, headers=headers)


def _raw(site: Site, headers: dict[str, str]) -> TestResponse:
    return site.client.put("/upload/a.xml", data=CONTENT, headers=headers)


def _several(site: Site, headers: dict[str, str]) -> TestResponse:
    files = {"file": [_file("a.xml"), _file("b.xml", b"other content")]}
    return site.client.post("/upload", data=files, headers=headers)


def _tree_parts(site: Site, headers: dict[str, str]) -> TestResponse:
    files = {"file": [_file("a.xml")]}
    return site.client.post("/upload?tree=results", data=files, headers=headers)


def _listed_tree(site: Site, headers: dict[str, str]) -> TestResponse:
    offered = site.client.post("/tree?name=results", data=sums(FILES), headers=headers)
    if offered.status_code >= 400:
        return offered
    return site.client.put(offered.headers["Location"], data=archive(FILES))


def _known_tree(site: Site, headers: dict[str, str]) -> TestResponse:
    accept = {"Accept": "application/json"}
    return site.client.post(
        "/tree?name=results", data=sums({"a.xml": CONTENT}), headers=headers | accept
    )


def _resumable(site: Site, headers: dict[str, str]) -> TestResponse:
    piece = {"Tus-Resumable": "1.0.0", "Accept": "application/json"}
    begun = site.client.post(
        "/tus/", headers=headers | piece | {"Upload-Length": str(len(CONTENT))}
    )
    if begun.status_code != 201:
        return begun
    piece |= {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    return site.client.patch(begun.headers["Location"], data=CONTENT, headers=piece)


def _without_bytes(site: Site, headers: dict[str, str]) -> TestResponse:
    query = {"checksum": f"sha256:{identity(CONTENT).hex}", "filename": "a.xml"}
    return site.client.post("/upload", query_string=query, headers=headers)


@dataclass(frozen=True)
class Way:
    """A way in; ``needs_content`` where the content has to be kept before."""

    send: Send
    needs_content: bool = False
    uploads: int = 1


WAYS = {
    "form": Way(_form),
    "raw": Way(_raw),
    "several": Way(_several, uploads=2),
    "tree-parts": Way(_tree_parts),
    "listed-tree": Way(_listed_tree),
    "known-tree": Way(_known_tree, needs_content=True),
    "resumable": Way(_resumable),
    "without-bytes": Way(_without_bytes, needs_content=True),
}

every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def _file(name: str, content: bytes = CONTENT) -> tuple[io.BytesIO, str]:
    return io.BytesIO(content), name


def prepare(site: Site, way: Way) -> None:
    if way.needs_content:
        assert site.client.put("/upload/earlier", data=CONTENT).status_code == 200


def new_records(site: Site) -> list[Record]:
    records = [site.stores.records.load(one) for one in site.stores.records.ids()]
    return [record for record in records if record.name != "earlier"]


def problem(answer: TestResponse) -> tuple[int, Any]:
    return answer.status_code, (answer.get_json() or {}).get("problem")


@every_way
def test_days_and_headers_are_kept_in_the_record(make_site: MakeSite, way: Way) -> None:
    site = make_site(REPLICATE_0="user/${USERNAME}")
    prepare(site, way)
    headers = {"Retention-Days": "30", "Username": "bob", "Meta-Job": "7"}
    assert way.send(site, headers).status_code == 200
    kept = new_records(site)
    assert len(kept) == way.uploads
    for record in kept:
        assert record.expires is not None
        assert (record.expires - record.received).days == 30
        assert record.headers == {"username": "bob", "meta-job": "7"}
        assert len(record.replicas) == 1


@every_way
@pytest.mark.parametrize("days", ["bogus", "0", "91"])
def test_days_that_cannot_be_are_refused(make_site: MakeSite, way: Way, days: str) -> None:
    site = make_site(RETENTION_MAX_DAYS="90")
    prepare(site, way)
    assert problem(way.send(site, {"Retention-Days": days})) == (400, "invalid-retention")
    assert new_records(site) == []


@every_way
def test_only_the_first_answer_says_how_to_take_it_back(site: Site, way: Way) -> None:
    prepare(site, way)
    first, again = (way.send(site, {"Idempotency-Key": "k"}).get_json() for _ in range(2))
    assert ("undo" in first, "undo" in again) == (True, False)
    assert first["upload"] == again["upload"]
    assert len(new_records(site)) == way.uploads


@every_way
def test_a_key_that_cannot_be_is_refused(site: Site, way: Way) -> None:
    prepare(site, way)
    answer = way.send(site, {"Idempotency-Key": "k" * 256})
    assert problem(answer) == (400, "invalid-idempotency-key")
    assert new_records(site) == []


@every_way
def test_a_content_with_another_digest_than_was_sent_is_refused(site: Site, way: Way) -> None:
    prepare(site, way)
    answer = way.send(site, {"X-Checksum-Sha256": identity(b"another").hex})
    assert problem(answer) == (400, "digest-mismatch")
    assert new_records(site) == []
    assert kept_blobs(site.stores.blobs) == ([identity(CONTENT)] if way.needs_content else [])


@every_way
def test_who_may_not_upload_is_refused(make_site: MakeSite, way: Way) -> None:
    site = make_site(ANONYMOUS="read")
    assert problem(way.send(site, {})) == (403, "not-allowed")


@every_way
def test_pages_of_other_sites_are_refused(site: Site, way: Way) -> None:
    prepare(site, way)
    answer = way.send(site, {"Sec-Fetch-Site": "cross-site"})
    assert problem(answer) == (403, "cross-site")
    assert new_records(site) == []


class TestTheBodyOfATree:
    """What `/tree` promises of its second body, as `/upload` does."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Checksum-Sha256": identity(b"another").hex},
            {"Content-MD5": base64.b64encode(bytes(16)).decode()},
            {"Content-Digest": f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"},
        ],
    )
    def test_has_to_be_what_its_digest_says(self, site: Site, headers: dict[str, str]) -> None:
        location = site.client.post("/tree?name=r", data=sums(FILES)).headers["Location"]
        answer = site.client.put(location, data=archive(FILES), headers=headers)
        assert problem(answer) == (400, "digest-mismatch")
        assert new_records(site) == []
        assert kept_blobs(site.stores.blobs) == []

    def test_is_taken_with_its_right_digest(self, site: Site) -> None:
        location = site.client.post("/tree?name=r", data=sums(FILES)).headers["Location"]
        body = archive(FILES)
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
        answer = site.client.put(location, data=body, headers={"Content-MD5": md5})
        assert answer.status_code == 200

    def test_an_answer_that_there_is_not_is_refused_before_anything_is_kept(
        self, site: Site
    ) -> None:
        prepare(site, WAYS["known-tree"])
        answer = site.client.post("/tree?name=r&format=bogus", data=sums({"a": CONTENT}))
        assert problem(answer) == (400, "invalid-format")
        assert new_records(site) == []


TUS = {"Tus-Resumable": "1.0.0", "Upload-Length": "3"}
PIECE = TUS | {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}


class TestTheBodiesOfAResumableUpload:
    def test_a_form_is_refused(self, site: Site) -> None:
        answer = site.client.post("/tus/", data={"file": _file("x")}, headers=TUS)
        assert problem(answer) == (415, "unsupported-piece-type")

    @pytest.mark.parametrize("content", [b"abc", b"abd"])
    @pytest.mark.parametrize("begins", [True, False])
    def test_a_piece_has_to_have_its_digest(self, site: Site, content: bytes, begins: bool) -> None:
        md5 = base64.b64encode(hashlib.md5(b"abc").digest()).decode()
        headers = PIECE | {"Content-MD5": md5}
        if begins:
            answer = site.client.post("/tus/", data=content, headers=headers)
        else:
            path = site.client.post("/tus/", headers=TUS).headers["Location"]
            answer = site.client.patch(path, data=content, headers=headers)
        assert (answer.status_code in (201, 204)) == (content == b"abc")
        assert len(new_records(site)) == (content == b"abc")


@pytest.mark.parametrize("path", ["/upload/x", "/tree"])
def test_a_store_that_is_full_says_so_before_the_body_is_read(site: Site, path: str) -> None:
    if path == "/tree":
        path = site.client.post("/tree?name=r", data=sums(FILES)).headers["Location"]
    create = site.stores.staging.create

    def create_small(*, size: int = 0) -> StagedFile:
        if size:
            raise StorageFull("The store has no room for this upload.")
        return create()

    site.stores.staging.create = create_small  # type: ignore[method-assign]
    body = io.BytesIO(archive(FILES))
    length = str(len(body.getvalue()))
    answer = site.client.put(path, input_stream=body, headers={"Content-Length": length})
    assert problem(answer) == (507, "storage-full")
    assert body.tell() == 0


@pytest.mark.parametrize("path", ["/upload/x", "/tree"])
def test_too_large_is_refused_before_the_body_is_read(site: Site, path: str) -> None:
    if path == "/tree":
        path = site.client.post("/tree?name=r", data=sums(FILES)).headers["Location"]
    announced = {"CONTENT_LENGTH": str(LIMIT + 512 * 1024**2)}
    answer = site.client.put(path, environ_overrides=announced)
    assert problem(answer) == (413, "too-large")
