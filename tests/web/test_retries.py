"""A request that is sent again with its key is one upload."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from httpbucket.services.retry import REMEMBERED
from httpbucket.storage.memory import MemoryIndex
from tests.examples import NOW
from tests.web.conftest import MakeSite, Site, site_on
from tests.web.forms import part, post


def send(site: Site, content: bytes = b"content", key: str = "k", name: str = "x") -> TestResponse:
    headers = {"Idempotency-Key": key} if key else {}
    return site.client.put(f"/upload/{name}", data=content, headers=headers)


def count(site: Site) -> int:
    return len(list(site.stores.records.ids()))


def test_the_first_receipt_comes_again(site: Site) -> None:
    first, again = send(site).get_json(), send(site).get_json()
    del first["undo"]
    first_log, log = first.pop("log"), again.pop("log")
    assert again == first
    assert log != first_log
    assert "Idempotency-Key" in log[0]
    assert count(site) == 1


def test_without_a_key_or_with_another_it_is_a_second_upload(site: Site) -> None:
    for key in ("", "", "one", "two"):
        assert send(site, key=key).status_code == 200
    assert count(site) == 4


def test_the_name_of_the_first_try_stays(site: Site) -> None:
    send(site, name="first")
    assert send(site, name="second").get_json()["upload"]["filename"] == "first"


def test_another_content_is_refused(site: Site) -> None:
    first = send(site).get_json()
    response = send(site, b"other")
    assert (response.status_code, response.get_json()["problem"]) == (422, "idempotency-key-reused")
    assert response.get_json()["detail"] == {"upload": first["upload"]["id"]}
    assert count(site) == 1
    assert send(site).status_code == 200


def test_a_form_may_say_the_key_too(site: Site) -> None:
    for _ in range(2):
        key = part(b"k", disposition='name="idempotency-key"')
        assert post(site.client, part(b"content"), key).status_code == 200
    assert count(site) == 1


@pytest.mark.parametrize("key", ["k" * 256, "a\tb"])
def test_a_key_that_cannot_be_is_refused(site: Site, key: str) -> None:
    response = send(site, key=key)
    assert (response.status_code, response.get_json()["problem"]) == (
        400,
        "invalid-idempotency-key",
    )
    assert count(site) == 0


def test_a_key_of_text_in_any_script_is_taken(site: Site) -> None:
    for _ in range(2):
        response = site.client.put(
            "/upload/x", data=b"x", query_string={"idempotency-key": "日本 " * 80}
        )
        assert response.status_code == 200
    assert count(site) == 1


def test_it_is_forgotten_after_a_day(site: Site) -> None:
    send(site)
    moment = NOW + REMEMBERED + timedelta(seconds=1)
    later = site_on(site.settings, site.stores, now=lambda: moment)
    assert send(later, b"other").status_code == 200
    assert count(site) == 2


def test_an_index_that_is_being_rebuilt_makes_no_second_upload(site: Site) -> None:
    first = send(site).get_json()
    site.stores.index.mark_incomplete()
    assert send(site).get_json()["upload"]["id"] == first["upload"]["id"]
    assert send(site, b"other").status_code == 422
    assert send(site, b"other", key="new").status_code == 200


def test_an_upload_that_the_index_never_took_in_is_found_on_the_disk(make_site: MakeSite) -> None:
    site = make_site()
    taken_in = site.stores.index.add
    site.stores.index.add = lambda record, manifest: None  # type: ignore[method-assign]
    first = send(site).get_json()
    site.stores.index.add = taken_in  # type: ignore[method-assign]
    site.stores.index.mark_incomplete()
    assert send(site).get_json()["upload"]["id"] == first["upload"]["id"]


def test_an_upload_of_a_worker_that_died_is_found_though_the_index_seems_complete(
    site: Site,
) -> None:
    first = send(site).get_json()
    # The worker died before it told the index, and no other one has noticed yet.
    index = MemoryIndex()
    index.mark_complete(agreed_day="")
    stores = replace(site.stores, index=index, in_turn=lambda *_, **__: nullcontext(NOW))
    assert send(site.rebuilt(stores)).get_json()["upload"]["id"] == first["upload"]["id"]
    assert count(site) == 1


def test_of_an_act_that_the_index_took_in_half_nothing_is_made_again(site: Site) -> None:
    key = part(b"k", disposition='name="idempotency-key"')
    files = [part(content, disposition='name="file"; filename="x"') for content in (b"1", b"2")]
    assert post(site.client, *files, key).status_code == 200
    first = next(iter(site.stores.records.ids()))
    site.stores.index.remove(site.stores.records.load(first), None)
    site.stores.index.mark_incomplete()
    assert post(site.client, *files, key).status_code == 200
    assert count(site) == 2


def test_many_tries_at_once_make_one_upload(site: Site) -> None:
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: send(site).get_json(), range(16)))
    assert len({answer["upload"]["id"] for answer in answers}) == 1
    assert count(site) == 1
