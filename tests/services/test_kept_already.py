"""What need not be sent is what is kept, known in full, and meant without doubt."""

from __future__ import annotations

from dataclasses import replace

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.services.kept_already import KeptAlready
from tests.backends import memory_stores
from tests.examples import DIGESTS, descriptor, identity, keep, record_of


class Bench:
    """A store in memory, some of whose contents the index knows."""

    def __init__(self) -> None:
        self.stores = memory_stores()
        self._number = 0
        self.already = KeptAlready(
            blobs=self.stores.blobs, index=self.stores.index, digests=DIGESTS
        )

    def keep(self, content: bytes, described: Descriptor | None = None) -> None:
        """Keep a content as an upload, described otherwise if so given."""
        blob = keep(self.stores, content)
        self._number += 1
        self.stores.index.add(record_of(described or blob, number=self._number), None)

    def knows(self, digest: Digest, *received: Descriptor) -> bool:
        by_digest = {blob.sha256: blob for blob in received}
        return digest in self.already.find([digest], by_digest)


def test_what_is_kept_is_known_by_every_recorded_digest() -> None:
    bench = Bench()
    bench.keep(b"content")
    for digest in descriptor(b"content").all_digests():
        assert bench.already.find([digest], {})[digest].digests == descriptor(b"content").digests


def test_what_is_not_kept_is_not_known() -> None:
    assert not Bench().knows(identity(b"content"))


def test_a_blob_that_no_upload_names_is_not_known_unless_it_came_for_this_tree() -> None:
    bench = Bench()
    blob = keep(bench.stores, b"content")
    assert not bench.knows(blob.sha256)
    assert bench.knows(blob.sha256, blob)


def test_what_came_for_this_tree_and_has_gone_is_not_known() -> None:
    assert not Bench().knows(identity(b"content"), descriptor(b"content"))


def test_what_the_index_knows_and_the_store_has_not_is_not_known() -> None:
    bench = Bench()
    bench.stores.index.add(record_of(descriptor(b"content")), None)
    assert not bench.knows(identity(b"content"))


def test_a_digest_of_several_contents_means_none_of_them() -> None:
    bench = Bench()
    md5 = Digest("md5", "0" * 32)
    for content in (b"one", b"two"):
        blob = descriptor(content)
        bench.keep(content, replace(blob, digests={**blob.digests, "md5": md5.hex}))
    assert not bench.knows(md5)
    assert bench.knows(identity(b"one"))


def test_a_content_without_a_digest_that_is_recorded_now_is_to_come_again() -> None:
    bench = Bench()
    bench.keep(b"content", descriptor(b"content", algorithms=("md5",)))
    assert not bench.knows(identity(b"content"))


def test_what_came_when_other_digests_were_recorded_is_to_come_again() -> None:
    bench = Bench()
    keep(bench.stores, b"content")
    assert not bench.knows(identity(b"content"), descriptor(b"content", algorithms=("md5",)))


def test_what_is_held_stays_and_what_went_before_is_known_no_longer() -> None:
    bench = Bench()
    for content in (b"stays", b"goes"):
        bench.keep(content)
    stays, goes = identity(b"stays"), identity(b"goes")
    known = bench.already.find([stays, goes], {})
    bench.stores.blobs.free(goes)
    with bench.already.held(known):
        assert bench.stores.blobs.free(stays) is None
        assert (stays in known, goes in known) == (True, False)


def test_very_many_digests_are_asked_for_in_portions() -> None:
    bench = Bench()
    bench.keep(b"content")
    unknown = [identity(b"%d" % number) for number in range(20_000)]
    known = bench.already.find([*unknown, identity(b"content"), *unknown], {})
    assert list(known.sha256()) == [identity(b"content").value]
