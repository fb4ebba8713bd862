"""The contract of `BlobStore`, on every backend."""

import pytest

from httpbucket.domain.errors import BlobNotFound
from httpbucket.wiring import Stores
from tests.backends import Backend
from tests.examples import identity, keep, keep_staged, keep_upload, kept_blobs, stage

CONTENT = b"some content"


class TestBlobStore:
    def test_a_kept_blob_is_read_under_its_name(self, stores: Stores) -> None:
        assert keep_staged(stores, CONTENT) is True
        with stores.blobs.open(identity(CONTENT)) as reader:
            assert reader.read() == CONTENT
            reader.seek(5)
            assert reader.read(3) == b"con"

    def test_discarding_what_was_kept_leaves_the_blob(self, backend: Backend) -> None:
        staged = stage(backend.stores.staging, CONTENT)
        backend.stores.blobs.keep(staged, identity(CONTENT))
        staged.discard()
        staged.discard()
        assert backend.staged() == []
        with backend.stores.blobs.open(identity(CONTENT)) as reader:
            assert reader.read() == CONTENT

    def test_a_blob_that_is_there_is_not_kept_again(self, backend: Backend) -> None:
        keep(backend.stores, CONTENT)
        assert keep_staged(backend.stores, CONTENT) is False
        assert backend.staged() == []
        assert kept_blobs(backend.stores.blobs) == [identity(CONTENT)]

    def test_the_empty_content_is_always_kept(self, stores: Stores) -> None:
        assert keep_staged(stores, b"") is False
        with stores.blobs.open(identity(b"")) as reader:
            assert reader.read() == b""
        assert stores.blobs.size(identity(b"")) == 0

    def test_an_unknown_blob_is_told_as_such(self, stores: Stores) -> None:
        with pytest.raises(BlobNotFound):
            stores.blobs.open(identity(CONTENT))
        assert stores.blobs.size(identity(CONTENT)) is None
        assert kept_blobs(stores.blobs) == []

    def test_sizes_are_bytes(self, stores: Stores) -> None:
        keep(stores, "drei Wörter hier".encode())
        assert stores.blobs.size(identity("drei Wörter hier".encode())) == 17

    def test_every_blob_is_listed_once(self, stores: Stores) -> None:
        contents = [b"%d" % number for number in range(20)]
        for content in contents:
            keep(stores, content)
        assert kept_blobs(stores.blobs) == sorted(map(identity, contents))

    def test_a_part_of_a_blob_can_be_read(self, stores: Stores) -> None:
        keep(stores, b"0123456789")
        parts = [(0, 10), (3, 4), (8, 5), (10, 1), (0, 0)]
        blob = identity(b"0123456789")
        assert [stores.blobs.read_part(blob, start, size) for start, size in parts] == [
            b"0123456789",
            b"3456",
            b"89",
            b"",
            b"",
        ]
        with pytest.raises(BlobNotFound):
            stores.blobs.read_part(identity(b"unknown"), 0, 1)

    def test_a_blob_that_nothing_names_is_never_said_to_be_named(self, stores: Stores) -> None:
        assert not stores.blobs.is_named(identity(CONTENT))
        keep(stores, CONTENT)
        assert not stores.blobs.is_named(identity(CONTENT))

    def test_a_blob_that_an_upload_names_is_never_said_not_to_be(self, stores: Stores) -> None:
        keep_upload(stores, CONTENT)
        assert stores.blobs.is_named(identity(CONTENT)) in {True, None}

    def test_a_blob_that_only_a_removed_upload_names_is_not_said_to_be_named(
        self, stores: Stores
    ) -> None:
        record = keep_upload(stores, CONTENT)
        stores.records.remove(record.id)
        assert not stores.blobs.is_named(identity(CONTENT))

    def test_nobody_claims_to_know_whether_the_empty_blob_is_named(self, stores: Stores) -> None:
        keep_upload(stores, b"")
        assert stores.blobs.is_named(identity(b"")) is None

    def test_of_many_contents_those_that_are_kept_are_told(self, stores: Stores) -> None:
        keep(stores, CONTENT)
        asked = [identity(content).value for content in (CONTENT, b"unknown", b"")]
        assert stores.blobs.kept(asked) == {asked[0], asked[2]}
        assert stores.blobs.kept([]) == set()

    def test_of_very_many_contents_too(self, stores: Stores) -> None:
        keep(stores, CONTENT)
        asked = [identity(b"unknown %d" % number).value for number in range(200)]
        assert stores.blobs.kept([*asked, identity(CONTENT).value]) == {identity(CONTENT).value}
