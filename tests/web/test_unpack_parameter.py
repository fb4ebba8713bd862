"""``Unpack: true|false|require`` as a header, in the query or as a field; the first one counts."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pytest
from werkzeug.test import TestResponse

from httpbucket.web.app import create_app
from tests.builders import tar, tar_member
from tests.services.archives import TGZ, ZIP, Bench

HOSTILE = tar(tar_member("../evil", b"1"))
PLAIN = b"text"


def post(
    bench: Bench,
    content: bytes,
    filename: str = "a.tgz",
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    **fields: str,
) -> TestResponse:
    """Upload as a client does."""
    services = bench.services
    app = create_app(bench.settings, services)
    form: dict[str, Any] = {**fields, "file": (BytesIO(content), filename)}
    return app.test_client().post(f"/upload{query}", data=form, headers=headers)


def was_unpacked(answer: TestResponse) -> bool:
    assert answer.status_code == 200, answer.json
    assert answer.json is not None
    return answer.json["path"]["archive"] is not None


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("value", ["false", "False", " FALSE "])
def test_each_place_can_say_it(bench: Bench, value: str) -> None:
    assert was_unpacked(post(bench, TGZ)) is True
    assert was_unpacked(post(bench, TGZ, headers={"Unpack": value})) is False
    assert was_unpacked(post(bench, TGZ, query=f"?unpack={value.strip()}")) is False
    assert was_unpacked(post(bench, TGZ, unpack=value)) is False


def test_the_header_comes_before_the_query_and_the_query_before_the_field(bench: Bench) -> None:
    assert was_unpacked(
        post(bench, TGZ, headers={"Unpack": "true"}, query="?unpack=false", unpack="false")
    )
    assert was_unpacked(post(bench, TGZ, query="?unpack=true", unpack="false"))
    assert not was_unpacked(post(bench, TGZ, query="?unpack=false", unpack="true"))
    assert not was_unpacked(post(bench, TGZ, headers={"Unpack": "false"}, unpack="true"))


def test_an_empty_value_says_nothing(bench: Bench) -> None:
    assert was_unpacked(post(bench, TGZ, headers={"Unpack": ""}, query="?unpack=", unpack=""))


@pytest.mark.parametrize("value", ["yes", "1", "auto-magic", "requires", "tru e", "x" * 500])
def test_any_other_value_is_a_mistake_that_is_told(bench: Bench, value: str) -> None:
    for answer in (
        post(bench, TGZ, headers={"Unpack": value}),
        post(bench, TGZ, query=f"?unpack={value}"),
        post(bench, TGZ, unpack=value),
    ):
        assert answer.status_code == 400
        assert answer.json is not None
        assert answer.json["problem"] == "invalid-unpack"
        assert "expected true, false or require" in answer.json["error"]
    assert bench.kept() == set()
    assert bench.staging.staged == set()


def test_asking_for_it_unpacks_what_its_name_would_keep_packed(bench: Bench) -> None:
    assert was_unpacked(post(bench, ZIP, "a.jar")) is False
    assert was_unpacked(post(bench, ZIP, "a.jar", unpack="true")) is True


@pytest.mark.parametrize("content", [HOSTILE, PLAIN, TGZ[:-9]])
def test_where_it_is_required_a_refusal_is_422_and_keeps_nothing(
    bench: Bench, content: bytes
) -> None:
    answer = post(bench, content, unpack="require")
    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["status"].startswith("unprocessable")
    assert bench.kept() == set()
    assert bench.staging.staged == set()
    assert post(bench, content).status_code == 200


def test_where_it_is_required_a_limit_is_413_and_named() -> None:
    bench = Bench(UNPACK_MAX_MEMBERS="2")
    answer = post(bench, TGZ, headers={"Unpack": "require"})
    assert answer.status_code == 413
    assert answer.json is not None
    assert answer.json["problem"] == "unpack-limit"
    assert answer.json["detail"] == {"limit": "UNPACK_MAX_MEMBERS", "allowed": 2}
    assert bench.kept() == set()


def test_a_refusal_is_a_finding_in_the_receipt(bench: Bench) -> None:
    answer = post(bench, HOSTILE, "a.tar")
    assert answer.status_code == 200
    receipt = answer.json
    assert receipt is not None
    assert (receipt["checksum"]["archive"], receipt["path"]["archive"]) == (None, None)
    (finding,) = receipt["upload"]["findings"]
    assert finding["problem"] == "unsafe-member-name"
    assert "'../evil'" in finding["sentence"]


def test_the_receipt_of_a_compressed_archive_file_names_all_three(bench: Bench) -> None:
    receipt = post(bench, TGZ, "results.tgz").json
    assert receipt is not None
    assert receipt["checksum"]["archive"] == receipt["checksum"]["decompressed"]
    assert receipt["checksum"]["archive"] not in {None, receipt["checksum"]["blob"]}
    assert receipt["path"]["archive"] == receipt["path"]["upload"] + "/results"
