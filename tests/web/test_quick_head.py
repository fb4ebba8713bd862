"""The quick answer to HEAD is the application's, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from werkzeug.test import TestResponse

from httpbucket.domain.errors import IndexNotReady, StorageUnavailable
from httpbucket.web.quick_head import HeadAnswer, QuickHead
from httpbucket.wiring import build
from tests.examples import descriptor, keep_upload
from tests.services.fakes import Journal, RecordingIndex
from tests.web.conftest import MakeSite, Site
from tests.web.test_checksums import EVERY_FORM, MISTAKEN, collide, with_broken_index


def quick(site: Site) -> QuickHead:
    lookup = build(site.settings, site.stores).quick_ask
    return QuickHead(site.app, lookup, checksum_type=site.settings.checksum_type)


def answer_of(site: Site, digest: str) -> HeadAnswer | None:
    (answer,) = quick(site).answers([digest])
    return answer


def as_answer(response: TestResponse) -> HeadAnswer:
    return HeadAnswer(response.status, tuple(response.headers))


@pytest.fixture
def stored(site: Site) -> Site:
    site.stores.index.add(keep_upload(site.stores, b"content"), None)
    return site


@pytest.mark.parametrize("digest", [*EVERY_FORM, "0" * 32, "0" * 64, "sha3_256:" + "0" * 64])
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_it_is_what_the_application_answers(stored: Site, digest: str, accept: str) -> None:
    usual = stored.client.head(f"/checksum/{digest}", headers={"Accept": accept})
    assert answer_of(stored, digest) == as_answer(usual)


def test_bare_hex_means_the_checksum_type_first(make_site: MakeSite) -> None:
    site = make_site(CHECKSUM_TYPE="sha3_256")
    digest = descriptor(b"content", algorithms=["sha3_256"]).digests["sha3_256"]
    usual = site.client.head(f"/checksum/{digest}")
    assert answer_of(site, digest) == as_answer(usual)


def test_an_ambiguous_digest_is_known(site: Site) -> None:
    collide(site)
    answer = answer_of(site, "0" * 32)
    assert answer is not None
    assert answer.status == "200 OK"


def test_several_are_answered_in_their_order(stored: Site) -> None:
    known, unknown, mistaken = EVERY_FORM[0], "0" * 64, MISTAKEN[0]
    answers = quick(stored).answers([known, mistaken, unknown, known, unknown, mistaken])
    statuses = [answer and answer.status[:3] for answer in answers]
    assert statuses == ["200", None, "404", "200", "404", None]


@pytest.mark.parametrize("digest", MISTAKEN)
def test_what_is_no_digest_is_left_to_the_application(site: Site, digest: str) -> None:
    assert answer_of(site, digest) is None


@pytest.mark.parametrize("error", [IndexNotReady("busy"), StorageUnavailable("broken")])
def test_what_cannot_be_known_at_once_is_left_to_the_application(
    site: Site, error: Exception
) -> None:
    index = RecordingIndex(Journal())
    index.refusal = error
    ask = build(site.settings, replace(site.stores, quick_index=index)).quick_ask
    assert QuickHead(site.app, ask, checksum_type="md5").answers(["0" * 32]) == [None]
    assert with_broken_index(site, error).head("/checksum/" + "0" * 32).status_code == 503
