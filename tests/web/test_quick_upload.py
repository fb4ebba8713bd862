"""The quick answer to an upload is the application's, and so is what is kept."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest
from werkzeug.test import TestResponse

from httpbucket.domain.errors import BucketError, IndexNotReady, StorageFull
from httpbucket.web.presenters import Presenter
from httpbucket.web.quick_head import HeadAnswer
from httpbucket.web.quick_upload import PlainUpload, QuickUpload, UploadAnswer
from httpbucket.web.receipts import Receipts
from httpbucket.wiring import build
from tests import builders
from tests.examples import NOW, kept_blobs
from tests.web.conftest import LIMIT, MakeSite, Site

HOST = "bucket.example:5000"
CONTENT = b"some content"


def quick(site: Site) -> QuickUpload:
    services = build(site.settings, site.stores, now=lambda: NOW)
    receipts = Receipts(Presenter(site.settings), services.undo)
    public_url = str(site.settings.public_url or "")
    return QuickUpload(site.app, services.ingest, receipts, public_url=public_url)


def upload(
    site: Site, content: bytes, name: str = "a.xml", headers: Mapping[str, str] | None = None
) -> UploadAnswer:
    plain = PlainUpload(HOST, name, content, headers or {}, lambda: False)
    return quick(site).answer(plain)


def usual(
    site: Site, content: bytes, name: str = "a.xml", headers: Mapping[str, str] | None = None
) -> TestResponse:
    base_url = f"http://{HOST}"
    return site.client.put(f"/upload/{name}", data=content, headers=headers, base_url=base_url)


def without_names(shown: Any) -> Any:
    """JSON of an upload without what differs from one to the next."""
    upload = shown["upload"]["id"]
    directory = shown["path"]["upload"]
    text = json.dumps(shown).replace(directory, "DIRECTORY").replace(upload, "ID")
    plain = json.loads(text)
    plain.pop("undo", None)
    return plain


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (CONTENT, "a.xml"),
        (b"\x00" * 100, "zeros.bin"),
        (builders.tar(builders.tar_member("a/b.txt", b"member")), "results.tar"),
        (gzip.compress(b"inside", mtime=0), "log.gz"),
    ],
)
def test_a_receipt_is_what_the_application_answers(
    make_site: MakeSite, content: bytes, name: str
) -> None:
    headers = {"username": "bob", "topic": "demo", "meta-job": "7"}
    options = {"REPLICATE_0": "user/${USERNAME}/${TOPIC}", "MAX_CONTENT_LENGTH": "1mb"}
    by_quick, by_usual = make_site(**options), make_site(**options)
    answer, response = (
        upload(by_quick, content, name, headers),
        usual(by_usual, content, name, headers),
    )
    theirs = response.get_json()
    assert without_names(json.loads(answer.body)) == without_names(theirs)
    assert answer.body.decode() == f"{json.dumps(json.loads(answer.body), indent=2)}\n"
    lengths = {("Content-Length", str(len(one))) for one in (answer.body, response.data)}
    assert answer.head.status == response.status
    assert [one for one in answer.head.headers if one not in lengths] == [
        one for one in response.headers if one not in lengths
    ]
    assert ("Content-Length", str(len(answer.body))) in answer.head.headers


def test_addresses_begin_where_the_operator_says(make_site: MakeSite) -> None:
    answer = upload(make_site(PUBLIC_URL="https://public.example/bucket"), CONTENT)
    shown = json.loads(answer.body)
    assert shown["undo"].startswith("https://public.example/bucket/undo/")
    assert shown["upload"]["page"].startswith("https://public.example/bucket/uploads/")


def test_what_is_too_large_is_told_as_the_application_does(site: Site) -> None:
    answer = upload(site, bytes(LIMIT + 1))
    response = usual(site, bytes(LIMIT + 1))
    assert (answer.head, answer.body) == (
        HeadAnswer(response.status, tuple(response.headers)),
        response.data,
    )
    assert kept_blobs(site.stores.blobs) == []


@pytest.mark.parametrize("error", [StorageFull("full"), IndexNotReady("busy"), OSError(24, "many")])
def test_so_is_what_goes_wrong_and_nothing_is_left(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: BucketError | OSError
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(site.stores.records, "publish", fail)
    answer, response = upload(site, CONTENT), usual(site, CONTENT)
    assert response.status_code >= 500
    assert (answer.head, answer.body) == (
        HeadAnswer(response.status, tuple(response.headers)),
        response.data,
    )


def test_so_is_a_mistake_in_the_receipt_of_what_is_kept(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ArithmeticError("a mistake of ours")

    monkeypatch.setattr(Presenter, "receipt", fail)
    answer, response = upload(site, CONTENT), usual(site, CONTENT)
    assert (answer.head, answer.body) == (
        HeadAnswer("500 INTERNAL SERVER ERROR", tuple(response.headers)),
        response.data,
    )


def test_who_is_gone_is_not_unpacked_for(make_site: MakeSite) -> None:
    site = make_site(MAX_CONTENT_LENGTH="1mb")
    content = builders.tar(
        *(builders.tar_member(f"{number}.txt", b"member") for number in range(600))
    )
    answer = quick(site).answer(PlainUpload(HOST, "a.tar", content, {}, lambda: True))
    assert json.loads(answer.body)["problem"] == "client-gone"
