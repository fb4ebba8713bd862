"""The contract of `TreeStore`, on every backend."""

import pytest

from httpbucket.domain.errors import BlobNotFound
from httpbucket.domain.manifest import ManifestEntry
from httpbucket.wiring import Stores
from tests.examples import descriptor, identity, keep, keep_manifest, kept_blobs, tree_of

MEMBERS = [
    ManifestEntry("report/index.html", descriptor(b"<h1>"), executable=True, mtime=1795270000.0),
    ManifestEntry("report/empty", None),
]


class TestTreeStore:
    def test_a_manifest_reads_back_as_it_was_kept(self, stores: Stores) -> None:
        tree, manifest = tree_of(b"an archive file", MEMBERS)
        keep_manifest(stores, tree, manifest)
        with stores.trees.load(tree.manifest.sha256) as read:
            assert read.header.source == identity(b"an archive file")
            assert list(read.entries) == MEMBERS

    def test_a_manifest_is_a_blob(self, stores: Stores) -> None:
        tree, manifest = tree_of(b"an archive file", MEMBERS)
        keep_manifest(stores, tree, manifest)
        with stores.blobs.open(tree.manifest.sha256) as reader:
            assert reader.read() == manifest

    def test_an_equal_manifest_may_be_kept_again(self, stores: Stores) -> None:
        tree, manifest = tree_of(b"an archive file", MEMBERS)
        for _ in range(2):
            keep_manifest(stores, tree, manifest)
        assert kept_blobs(stores.blobs) == [tree.manifest.sha256]

    def test_an_unknown_manifest_is_told_as_such(self, stores: Stores) -> None:
        with pytest.raises(BlobNotFound), stores.trees.load(identity(b"nothing")):
            pass

    @pytest.mark.parametrize("content", [b"", b"plain text", b'{"a": 1}\n', b"[]\n", b"\xff\n"])
    def test_a_blob_that_is_no_manifest_is_refused(self, stores: Stores, content: bytes) -> None:
        keep(stores, content)
        with pytest.raises(ValueError, match=r"."), stores.trees.load(identity(content)):
            pass
