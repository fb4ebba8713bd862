"""A record reads back as what was written, and nothing else reads as one."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.errors import UploadNotFound
from httpbucket.domain.upload import Finding, NamedBlob, Part, Record, Replica, Tree, UploadId
from tests.examples import descriptor, file_of, record_of

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 1), timezones=st.just(UTC))
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
BLOBS = st.builds(
    Descriptor,
    digests=st.builds(lambda text: {"md5": text[:32], "sha256": text}, HEX),
    size=st.integers(0, 2**63 - 1),
    crc32=st.integers(0, 2**32 - 1),
    media_type=st.text(),
)
NAMED = st.builds(NamedBlob, name=ANY_TEXT, blob=BLOBS)
FINDINGS = st.lists(st.builds(Finding, problem=st.text(), sentence=ANY_TEXT), max_size=2).map(tuple)
REPLICAS = st.builds(
    Replica,
    path=ANY_TEXT,
    part=st.sampled_from(get_args(Part)),
    latest=st.lists(ANY_TEXT, max_size=2).map(tuple),
)
RECORDS = st.builds(
    Record,
    id=st.builds(UploadId.new, MOMENTS, st.integers(0, 2**64 - 1)),
    received=MOMENTS,
    uploaded=NAMED,
    decompressed=st.none() | NAMED,
    tree=st.none()
    | st.builds(Tree, name=st.text(), manifest=BLOBS, files=st.just(3), size=st.just(9)),
    replicas=st.lists(REPLICAS, max_size=2).map(tuple),
    findings=FINDINGS,
    headers=st.dictionaries(st.text(), ANY_TEXT, max_size=2),
    expires=st.none() | MOMENTS,
)
RECORD = Record(
    id=UploadId.parse("20261121T143205.812Z-9f3c1a77d0e4b256"),
    received=datetime(2026, 11, 21, 14, 32, 5, 812000, tzinfo=UTC),
    uploaded=NamedBlob("x", Descriptor({"sha256": "a" * 64}, 1, 2, "text/plain")),
)


@given(RECORDS)
def test_a_record_reads_back_as_it_was_written(record: Record) -> None:
    lying_on_disk = record.to_bytes()
    assert lying_on_disk.decode("utf-8").endswith("}\n")
    assert Record.from_bytes(lying_on_disk) == record


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": "1"},
        {"id": "../../etc"},
        {"received": "yesterday"},
        {"received": None},
        {"uploaded": None},
        {"uploaded": []},
        {"uploaded": {"name": "x"}},
        {"uploaded": file_of(RECORD).to_json() | {"digests": {"md5": "a" * 32}}},
        {"uploaded": file_of(RECORD).to_json() | {"digests": {"sha256": "../../x"}}},
        {"headers": []},
        {"findings": [1]},
    ],
)
def test_a_record_with_something_else_in_it_is_refused(change: dict[str, object]) -> None:
    value = json.loads(RECORD.to_bytes()) | change
    with pytest.raises(ValueError, match=r"record|format|isoformat"):
        Record.from_bytes(json.dumps(value).encode())


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"1", b"{}", b"null", b"\xff\xfe\xfd"])
def test_what_is_no_record_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Record.from_bytes(text)


@given(MOMENTS, st.integers(0, 2**64 - 1))
def test_an_id_reads_back_and_its_directory_is_the_day(moment: datetime, bits: int) -> None:
    upload_id = UploadId.new(moment, bits)
    assert UploadId.parse(str(upload_id)) == upload_id
    assert upload_id.directory == f"archive/{moment:%Y/%m/%d}/{upload_id}"


@given(MOMENTS, MOMENTS)
def test_ids_sort_by_time_to_the_millisecond(one: datetime, other: datetime) -> None:
    earlier, later = sorted([one, other])
    assert UploadId.new(earlier, 0) <= UploadId.new(later, 2**64 - 1)


def test_an_id_is_in_utc_whatever_the_zone() -> None:
    moment = datetime(2026, 11, 22, 4, 32, 5, 812999, tzinfo=timezone(timedelta(hours=14)))
    assert str(UploadId.new(moment, 1)) == "20261121T143205.812Z-0000000000000001"


@pytest.mark.parametrize(
    "text",
    ["", "../x", f"{RECORD.id}\n", f"{RECORD.id}/..", str(RECORD.id).replace("2026", "２０２６")],
)
def test_no_other_text_is_an_id(text: str) -> None:
    with pytest.raises(UploadNotFound):
        UploadId.parse(text)


def test_the_archive_file_of_a_compressed_archive_is_what_is_inside() -> None:
    blob = file_of(RECORD).blob
    tar, tree = NamedBlob("x.tar", blob), Tree("x", blob, 1, 1)
    assert RECORD.archive_file is None
    assert replace(RECORD, decompressed=tar).archive_file is None
    assert replace(RECORD, tree=tree).archive_file == RECORD.uploaded
    assert replace(RECORD, tree=tree, decompressed=tar).archive_file == tar


class TestFolders:
    def test_a_folder_is_written_only_when_there_is_one(self) -> None:
        plain = record_of(descriptor(b"x"))
        inner = replace(plain, folder="a/b")
        assert "folder" not in json.loads(plain.to_bytes())
        assert json.loads(inner.to_bytes())["folder"] == "a/b"
        assert Record.from_bytes(inner.to_bytes()) == inner

    def test_names_lie_in_the_folder(self) -> None:
        plain = record_of(descriptor(b"x"))
        assert plain.path_of("x.txt") == f"{plain.id.directory}/x.txt"
        assert replace(plain, folder="a/b").path_of("x") == f"{plain.id.directory}/a/b/x"

    @pytest.mark.parametrize("folder", ["..", "a/../b", "/a", "a//b", "a/"])
    def test_a_record_that_names_another_place_is_damaged(self, folder: str) -> None:
        record = replace(record_of(descriptor(b"x")), folder=folder)
        with pytest.raises(ValueError, match="no folder"):
            Record.from_bytes(record.to_bytes())


def test_an_idempotency_key_is_written_only_where_there_is_one() -> None:
    record = record_of(descriptor(b"one"))
    assert b"idempotency" not in record.to_bytes()
    keyed = replace(record, idempotency_key="job 7/caf\udce9")
    assert Record.from_bytes(keyed.to_bytes()) == keyed
