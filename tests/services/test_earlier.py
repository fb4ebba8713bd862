"""What was decompressed and unpacked before is used again; in doubt it is done anew."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import IndexNotReady, StorageUnavailable
from httpbucket.domain.unpacking import CannotUnpack, UnpackWish
from httpbucket.domain.upload import Record
from httpbucket.services import earlier
from tests.builders import COMPRESSORS, tar, tar_member
from tests.examples import identity
from tests.services.archives import COMPRESSED_TARS, MEMBERS, TAR, TGZ, ZIP, Bench, problems

AGAIN = "Unpacked before; that tree is used again."
DECOMPRESSED_AGAIN = "Decompressed before; that is used again."


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    assert bench.staging.staged == set()


def manifest(record: Record) -> str:
    assert record.tree is not None
    return record.tree.manifest.sha256.hex


@pytest.mark.parametrize("content", [TAR, ZIP, *COMPRESSED_TARS.values()])
def test_the_same_file_again_is_neither_decompressed_nor_read(bench: Bench, content: bytes) -> None:
    first = bench.upload(content, "first.tgz").record
    batches, created, kept = bench.blobs.batches, bench.staging.created, bench.kept()
    bench.blobs.read.clear()
    second = bench.upload(content, "second.tgz")
    # Nothing was staged but the file as it came, and of what was kept only the manifest was
    # read, and the beginning of the tar.
    assert bench.blobs.batches == batches
    assert bench.staging.created == created + 1
    inside = [first.decompressed.blob.sha256] if first.decompressed else []
    assert {*bench.blobs.read} == {*inside, identity_of_manifest(first)}
    assert bench.kept() == kept
    assert AGAIN in second.log
    assert (second.record.tree and second.record.tree.name) == "second"
    assert manifest(second.record) == manifest(first)
    assert bench.tree(second.record) == MEMBERS


def identity_of_manifest(record: Record) -> object:
    assert record.tree is not None
    return record.tree.manifest.sha256


def test_a_tar_uses_the_tree_that_its_compressed_form_gave(bench: Bench) -> None:
    first = bench.upload(TGZ, "a.tgz").record
    second = bench.upload(TAR, "a.tar")
    assert AGAIN in second.log
    assert manifest(second.record) == manifest(first)
    assert second.record.id != first.id


def test_another_compression_of_a_tar_uses_its_tree(bench: Bench) -> None:
    first = bench.upload(TAR, "a.tar").record
    second = bench.upload(COMPRESSED_TARS[".txz"], "a.txz")
    assert AGAIN in second.log
    assert DECOMPRESSED_AGAIN not in second.log
    assert manifest(second.record) == manifest(first)


def test_a_compressed_file_without_an_archive_file_is_decompressed_once(bench: Bench) -> None:
    packed = COMPRESSORS["gzip"](b"text\n" * 100)
    first = bench.upload(packed, "a.gz").record
    created = bench.staging.created
    second = bench.upload(packed, "b.gz")
    assert bench.staging.created == created + 1
    assert DECOMPRESSED_AGAIN in second.log
    assert second.record.decompressed is not None
    assert first.decompressed is not None
    assert second.record.decompressed.blob == first.decompressed.blob
    assert second.record.decompressed.name == "b"


def test_findings_are_told_again(bench: Bench) -> None:
    fifo = tar(tar_member("pipe", kind=b"6"), tar_member("x", b"1"))
    content = COMPRESSORS["gzip"](fifo) + b"trailing"
    first = bench.upload(content, "a.tgz").record
    second = bench.upload(content, "a.tgz")
    assert problems(first) == ["trailing-bytes", "member-left-out"]
    assert AGAIN in second.log
    assert second.record.findings == first.findings
    third = bench.upload(content, "a.tgz").record
    assert third.findings == first.findings


@pytest.mark.parametrize("behind", [b"", b"text"])
def test_bytes_behind_a_tar_and_behind_its_stream_are_told_once_each(
    bench: Bench, behind: bytes
) -> None:
    content = COMPRESSORS["gzip"](TAR + b"x" * 512) + behind
    first = bench.upload(content, "a.tgz").record
    second = bench.upload(content, "a.tgz").record
    assert problems(first) == ["trailing-bytes"] * (2 if behind else 1)
    assert second.findings == first.findings


def test_an_unpacked_name_that_vetoes_does_not_use_it(bench: Bench) -> None:
    bench.upload(ZIP, "a.zip")
    assert bench.upload(ZIP, "a.jar").record.tree is None
    assert bench.upload(ZIP, "a.zip", UnpackWish.FALSE).record.tree is None
    assert AGAIN in bench.upload(ZIP, "a.jar", UnpackWish.REQUIRE).log


@pytest.mark.parametrize("setting", ["UNPACK_MAX_MEMBERS", "UNPACK_MAX_SECONDS", "UNPACK_MAX_PATH"])
def test_under_other_limits_it_is_unpacked_anew(bench: Bench, setting: str) -> None:
    first = bench.upload(TGZ, "a.tgz").record
    bench.restarted(**{setting: "50"})
    second = bench.upload(TGZ, "a.tgz")
    assert AGAIN not in second.log
    assert manifest(second.record) != manifest(first)
    assert bench.tree(second.record) == MEMBERS
    assert AGAIN in bench.upload(TGZ, "a.tgz").log
    bench.restarted()
    assert AGAIN in bench.upload(TGZ, "a.tgz").log


def test_digests_that_were_not_recorded_then_are_computed_anew(bench: Bench) -> None:
    bench.upload(TGZ, "a.tgz")
    bench.restarted(CHECKSUM_TYPE="sha1")
    record = bench.upload(TGZ, "a.tgz").record
    assert record.decompressed is not None
    assert record.decompressed.blob.digests["sha1"] == hashlib.sha1(TAR).hexdigest()
    for content in MEMBERS.values():
        sha1 = Digest.of("sha1", hashlib.sha1(content).digest())
        assert bench.index.find(sha1) == (identity(content),)
    assert {AGAIN, DECOMPRESSED_AGAIN} <= {*bench.upload(TGZ, "a.tgz").log}


def test_another_unpacker_unpacks_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.upload(TGZ, "a.tgz")
    monkeypatch.setattr(earlier, "UNPACKER_VERSION", "2")
    assert AGAIN not in bench.upload(TGZ, "a.tgz").log


def test_a_limit_that_is_lower_now_refuses_what_was_unpacked_before(bench: Bench) -> None:
    bench.upload(TGZ, "a.tgz")
    bench.restarted(UNPACK_MAX_MEMBERS="2")
    with pytest.raises(CannotUnpack):
        bench.upload(TGZ, "a.tgz", UnpackWish.REQUIRE)
    assert problems(bench.upload(TGZ, "a.tgz").record) == ["unpack-limit"]


@pytest.mark.parametrize("wish", [UnpackWish.AUTO, UnpackWish.REQUIRE])
def test_a_refusal_is_not_remembered(bench: Bench, wish: UnpackWish) -> None:
    bench.restarted(UNPACK_MAX_MEMBERS="2")
    assert problems(bench.upload(TGZ, "a.tgz").record) == ["unpack-limit"]
    bench.restarted()
    assert bench.tree(bench.upload(TGZ, "a.tgz", wish).record) == MEMBERS


Damage = Callable[[Bench, Record], None]


def lose_record(bench: Bench, record: Record) -> None:
    bench.records.replace(record, None)


def damage_record(bench: Bench, record: Record) -> None:
    bench.records.replace(record, b'{"format": 1')


def lose_manifest(bench: Bench, record: Record) -> None:
    assert record.tree is not None
    bench.blobs.damage(record.tree.manifest.sha256, None)


def damage_manifest(bench: Bench, record: Record) -> None:
    assert record.tree is not None
    bench.blobs.damage(record.tree.manifest.sha256, b"[]\n")


def lose_decompressed(bench: Bench, record: Record) -> None:
    assert record.decompressed is not None
    bench.blobs.damage(record.decompressed.blob.sha256, None)


def cut_decompressed(bench: Bench, record: Record) -> None:
    assert record.decompressed is not None
    bench.blobs.damage(record.decompressed.blob.sha256, TAR[:1000])


def record_another_source(bench: Bench, record: Record) -> None:
    """As a record would say that was edited by hand."""
    assert record.decompressed is not None
    other = replace(record.decompressed.blob, digests={"sha256": "0" * 64})
    wrong = replace(record, decompressed=replace(record.decompressed, blob=other))
    bench.records.replace(record, wrong.to_bytes())


@pytest.mark.parametrize("damage", [lose_record, damage_record, lose_manifest])
def test_what_an_earlier_upload_does_not_hold_any_more_is_made_anew(
    bench: Bench, damage: Damage
) -> None:
    damage(bench, bench.upload(TGZ, "a.tgz").record)
    again = bench.upload(TGZ, "a.tgz")
    assert AGAIN not in again.log
    assert bench.tree(again.record) == MEMBERS
    assert AGAIN in bench.upload(TGZ, "a.tgz").log


@pytest.mark.parametrize("damage", [lose_decompressed, record_another_source])
def test_a_decompressed_content_that_is_gone_is_made_anew(bench: Bench, damage: Damage) -> None:
    damage(bench, bench.upload(TGZ, "a.tgz").record)
    again = bench.upload(TGZ, "a.tgz")
    assert DECOMPRESSED_AGAIN not in again.log
    assert again.record.decompressed is not None
    assert bench.content(again.record.decompressed.blob.sha256) == TAR
    assert bench.tree(again.record) == MEMBERS


@pytest.mark.parametrize("damage", [damage_manifest, cut_decompressed])
def test_what_is_damaged_is_not_used(bench: Bench, damage: Damage) -> None:
    """Under its name it stays, for a blob of that name is there; but nobody relies on it."""
    damage(bench, bench.upload(TGZ, "a.tgz").record)
    again = bench.upload(TGZ, "a.tgz")
    assert not {AGAIN, DECOMPRESSED_AGAIN} <= {*again.log}
    assert again.record.findings == ()


def test_an_older_upload_serves_when_the_newest_is_gone(bench: Bench) -> None:
    bench.upload(TGZ, "a.tgz")
    lose_record(bench, bench.upload(TGZ, "b.tgz").record)
    assert AGAIN in bench.upload(TGZ, "c.tgz").log


def test_without_an_index_it_is_done_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.upload(TGZ, "a.tgz")

    def not_ready(_: object) -> None:
        raise IndexNotReady("The index cannot answer now.")

    monkeypatch.setattr(bench.index, "find_unpacked", not_ready)
    again = bench.upload(TGZ, "a.tgz")
    assert AGAIN not in again.log
    assert bench.tree(again.record) == MEMBERS


@pytest.mark.parametrize("part", ["records", "trees"])
def test_what_cannot_be_read_now_is_done_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    bench.upload(TGZ, "a.tgz")

    def unreadable(_: object) -> None:
        raise StorageUnavailable("The store cannot be used now: input/output error.")

    with monkeypatch.context() as patch:
        patch.setattr(getattr(bench, part), "load", unreadable)
        # The index cannot read the new manifest either, and is told later.
        again = bench.upload(TGZ, "a.tgz")
    assert AGAIN not in again.log
    assert bench.tree(again.record) == MEMBERS


def test_another_file_with_the_same_tar_inside_shares_its_blobs(bench: Bench) -> None:
    bench.upload(TGZ, "a.tgz")
    kept = bench.kept()
    other = COMPRESSORS["gzip"](TAR[:512]) + COMPRESSORS["gzip"](TAR[512:])
    record = bench.upload(other, "b.tgz").record
    assert bench.kept() == kept | {identity(other)}
    assert bench.tree(record) == MEMBERS
