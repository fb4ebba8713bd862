"""Lookup says no only where that is certain, and yes only for what is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest, read_question
from httpbucket.domain.errors import AmbiguousDigest, BlobNotFound, IndexNotReady
from httpbucket.services.lookup import Lookup
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.examples import descriptor, identity, keep, keep_upload, record_of
from tests.services.fakes import Journal, RecordingIndex

CONTENT = b"content"
BLOB = descriptor(CONTENT)
MD5 = Digest("md5", BLOB.digests["md5"])


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


@pytest.fixture
def stores(layout: Layout) -> Iterator[Stores]:
    stores = local_backend(layout.root).stores
    yield stores
    stores.index.close()


@pytest.fixture
def lookup(stores: Stores) -> Lookup:
    return Lookup(blobs=stores.blobs, index=stores.index)


def complete(stores: Stores) -> None:
    stores.index.mark_complete(agreed_day="")


class TestWithACompleteIndex:
    def test_a_known_content_is_found_by_every_digest(self, stores: Stores, lookup: Lookup) -> None:
        stores.index.add(keep_upload(stores, CONTENT), None)
        complete(stores)
        for digest in BLOB.all_digests():
            assert lookup.find([digest]) == (BLOB.sha256,)
            assert lookup.resolve([digest]) == BLOB.sha256

    @pytest.mark.parametrize("digest", BLOB.all_digests(), ids=str)
    def test_an_unknown_content_is_not_found(
        self, stores: Stores, lookup: Lookup, digest: Digest
    ) -> None:
        complete(stores)
        with pytest.raises(BlobNotFound):
            lookup.find([digest])

    def test_a_blob_that_no_upload_names_is_not_found(self, stores: Stores, lookup: Lookup) -> None:
        keep(stores, CONTENT)
        complete(stores)
        with pytest.raises(BlobNotFound):
            lookup.find([BLOB.sha256])

    def test_a_blob_that_was_removed_by_hand_is_not_found(
        self, stores: Stores, lookup: Lookup, layout: Layout
    ) -> None:
        stores.index.add(keep_upload(stores, CONTENT), None)
        complete(stores)
        layout.blob(BLOB.sha256).unlink()
        for digest in BLOB.all_digests():
            with pytest.raises(BlobNotFound):
                lookup.find([digest])
        with pytest.raises(BlobNotFound):
            lookup.describe(BLOB.sha256)

    def test_the_first_digest_of_a_question_that_is_known_answers(
        self, stores: Stores, lookup: Lookup
    ) -> None:
        stores.index.add(keep_upload(stores, CONTENT), None)
        complete(stores)
        question = read_question(BLOB.sha256.hex, preferred="sha3_256")
        assert len(question) == 2
        assert lookup.resolve(question) == BLOB.sha256

    def test_a_description_has_the_name_and_all_digests(
        self, stores: Stores, lookup: Lookup
    ) -> None:
        stores.index.add(keep_upload(stores, CONTENT), None)
        complete(stores)
        known = lookup.describe(BLOB.sha256)
        assert (known.blob, known.filename) == (BLOB, "results.xml")


class TestAmbiguousDigests:
    def test_two_contents_of_one_md5_are_both_found_and_neither_is_chosen(
        self, stores: Stores, lookup: Lookup
    ) -> None:
        for number, content in enumerate([b"one", b"other"]):
            digests = {"md5": "0" * 32, "sha256": identity(content).hex}
            keep(stores, content)
            blob = Descriptor(digests, len(content), 0, "text/plain")
            stores.index.add(record_of(blob, number=number), None)
        complete(stores)
        both = sorted([identity(b"one"), identity(b"other")])
        assert sorted(lookup.find([Digest("md5", "0" * 32)])) == both
        with pytest.raises(AmbiguousDigest) as raised:
            lookup.resolve([Digest("md5", "0" * 32)])
        assert raised.value.detail == {"sha256": [one.hex for one in both]}


class TestWhileTheIndexIsRebuilt:
    def test_a_sha256_is_answered_from_the_disk(self, stores: Stores, lookup: Lookup) -> None:
        keep_upload(stores, CONTENT)
        assert lookup.find([BLOB.sha256]) == (BLOB.sha256,)
        with pytest.raises(BlobNotFound):
            lookup.find([identity(b"unknown")])

    def test_a_blob_with_no_other_name_is_neither_claimed_nor_denied(
        self, stores: Stores, lookup: Lookup
    ) -> None:
        """In a store that was copied without its hardlinks every blob is like that."""
        keep(stores, CONTENT)
        with pytest.raises(IndexNotReady):
            lookup.find([BLOB.sha256])

    def test_an_alias_that_is_known_already_is_answered(
        self, stores: Stores, lookup: Lookup
    ) -> None:
        stores.index.add(keep_upload(stores, CONTENT), None)
        assert lookup.find([MD5]) == (BLOB.sha256,)

    def test_an_alias_that_is_not_known_yet_is_never_denied(
        self, stores: Stores, lookup: Lookup
    ) -> None:
        keep_upload(stores, CONTENT)
        with pytest.raises(IndexNotReady):
            lookup.find([MD5])

    def test_bare_hex_that_may_be_an_alias_is_never_denied(
        self, stores: Stores, lookup: Lookup
    ) -> None:
        question = read_question("0" * 64, preferred="sha3_256")
        with pytest.raises(IndexNotReady):
            lookup.find(question)

    def test_the_empty_content_is_never_denied(self, stores: Stores, lookup: Lookup) -> None:
        keep_upload(stores, b"")
        with pytest.raises(IndexNotReady):
            lookup.find([identity(b"")])

    def test_what_the_disk_alone_knows_is_described_by_it(
        self, stores: Stores, lookup: Lookup
    ) -> None:
        keep_upload(stores, CONTENT)
        known = lookup.describe(BLOB.sha256)
        assert known.blob.size == len(CONTENT)
        assert known.blob.digests == {"sha256": BLOB.sha256.hex}
        assert known.blob.media_type == "application/octet-stream"
        assert known.filename == BLOB.sha256.hex


class TestWithABrokenIndex:
    @pytest.fixture
    def broken(self, stores: Stores) -> Lookup:
        index = RecordingIndex(Journal())
        index.refusal = IndexNotReady("not now")
        return Lookup(blobs=stores.blobs, index=index)

    def test_a_sha256_is_answered_from_the_disk(self, stores: Stores, broken: Lookup) -> None:
        keep_upload(stores, CONTENT)
        assert broken.resolve([BLOB.sha256]) == BLOB.sha256
        with pytest.raises(BlobNotFound):
            broken.find([identity(b"unknown")])

    def test_an_alias_has_to_wait(self, broken: Lookup) -> None:
        with pytest.raises(IndexNotReady):
            broken.find([MD5])
