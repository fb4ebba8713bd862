"""A tree is built of staged members and a manifest, and nothing of it stays unless it is kept."""

from __future__ import annotations

import hashlib
import zlib
from io import BytesIO

import pytest

from httpbucket.content.archive import UNPACKER_VERSION
from httpbucket.content.kind import ArchiveKind
from httpbucket.content.limits import Budget, UnpackLimits
from httpbucket.domain.errors import ClientGone, StorageFull
from httpbucket.domain.manifest import ManifestEntry, ManifestHeader
from httpbucket.domain.unpacking import CannotUnpack
from httpbucket.services.build_tree import BuiltTree, TreeBuilder
from httpbucket.services.receive import Act
from httpbucket.storage.memory import MemoryBlobStore, MemoryStaging
from httpbucket.storage.trees import BlobTreeStore
from tests.builders import tar, tar_member
from tests.examples import identity

LIMITS = UnpackLimits(max_members=5000)
LARGE = bytes(range(256)) * 20_000


class Bench:
    """A builder on stores in memory."""

    def __init__(self, digests: tuple[str, ...] = ("md5", "sha256")) -> None:
        self.staging = MemoryStaging()
        self.blobs = MemoryBlobStore()
        self.trees = BlobTreeStore(self.blobs)
        self.act = Act(self.staging, digests)
        self._digests = digests
        self.checks = 0

    def build(self, *members: bytes) -> BuiltTree:
        archive = tar(*members)
        builder = TreeBuilder(self.blobs, self.act, self._digests, self.check)
        budget = Budget(LIMITS, source_size=len(archive))
        return builder.build(BytesIO(archive), ArchiveKind.TAR, identity(archive), budget)

    def check(self) -> None:
        self.checks += 1

    def manifest(self, built: BuiltTree) -> tuple[ManifestHeader, list[ManifestEntry]]:
        """The manifest of a tree that is kept at last."""
        built.keep(self.trees)
        with self.trees.load(built.manifest.sha256) as manifest:
            return manifest.header, list(manifest.entries)


def test_the_manifest_says_where_the_tree_came_from_and_by_which_rules() -> None:
    bench = Bench()
    built = bench.build(tar_member("x", b"1"), tar_member("pipe", kind=b"6"))
    header, _ = bench.manifest(built)
    archive = tar(tar_member("x", b"1"), tar_member("pipe", kind=b"6"))
    assert (header.source, header.unpacker) == (identity(archive), UNPACKER_VERSION)
    assert header.limits == LIMITS.as_mapping()
    assert header.findings == built.findings
    assert [finding.problem for finding in built.findings] == ["member-left-out"]


@pytest.mark.parametrize("content", [b"", b"<html>", LARGE], ids=["empty", "small", "large"])
def test_an_entry_says_all_that_is_known_of_a_member(content: bytes) -> None:
    bench = Bench(("md5", "sha512"))
    built = bench.build(tar_member("report/index.html", content, mode=0o755, mtime=1_700_000_000))
    _, (entry,) = bench.manifest(built)
    assert (entry.path, entry.executable, entry.mtime) == (
        "report/index.html",
        True,
        1_700_000_000.0,
    )
    assert entry.blob is not None
    assert entry.blob.digests == {
        name: hashlib.new(name, content).hexdigest() for name in ("md5", "sha512", "sha256")
    }
    assert (entry.blob.size, entry.blob.crc32) == (len(content), zlib.crc32(content))
    assert entry.blob.media_type == "text/html"
    assert (built.files, built.size) == (1, len(content))
    with bench.blobs.open(identity(content)) as reader:
        assert reader.read() == content


def test_entries_come_in_order_with_the_directories_that_are_empty() -> None:
    bench = Bench()
    _, entries = bench.manifest(
        bench.build(
            tar_member("z", b"1"),
            tar_member("void/", kind=b"5"),
            tar_member("full/", kind=b"5"),
            tar_member("full/file", b"2"),
        )
    )
    assert [(entry.path, entry.blob is None) for entry in entries] == [
        ("full/file", False),
        ("void", True),
        ("z", False),
    ]


def test_a_link_within_the_archive_is_a_second_name_of_its_blob() -> None:
    bench = Bench()
    built = bench.build(
        tar_member("first", b"content"),
        tar_member("hard", kind=b"1", linkname="first"),
        tar_member("soft", kind=b"2", linkname="hard"),
    )
    _, entries = bench.manifest(built)
    assert {entry.path: entry.blob and entry.blob.sha256 for entry in entries} == dict.fromkeys(
        ("first", "hard", "soft"), identity(b"content")
    )
    assert (built.files, built.size) == (3, 3 * len(b"content"))


def test_an_archive_file_without_files_is_an_empty_tree() -> None:
    bench = Bench()
    built = bench.build(tar_member("only/", kind=b"5"))
    assert (built.files, built.size) == (0, 0)


def test_nothing_is_a_blob_before_the_tree_is_kept() -> None:
    bench = Bench()
    before = {*bench.blobs.digests()}
    built = bench.build(tar_member("small", b"1"), tar_member("large", LARGE))
    assert {*bench.blobs.digests()} == before
    built.discard()
    built.discard()
    bench.act.close()
    assert {*bench.blobs.digests()} == before
    assert bench.staging.staged == set()


def test_only_contents_that_the_tree_names_become_blobs() -> None:
    bench = Bench()
    before = {*bench.blobs.digests()}
    built = bench.build(
        tar_member("twice", b"overwritten"),
        tar_member("twice", b"the last"),
        tar_member("file/and/directory", b"below"),
        tar_member("file", LARGE),
        tar_member("again", b"overwritten, but linked"),
        tar_member("link", kind=b"1", linkname="again"),
        tar_member("again", b"the last"),
    )
    built.keep(bench.trees)
    named = {b"the last", b"below", b"overwritten, but linked"}
    expected = {*map(identity, named), built.manifest.sha256}
    assert {*bench.blobs.digests()} - before == expected


def test_a_manifest_of_many_entries_is_whole() -> None:
    bench = Bench()
    members = [tar_member(f"{number:05}", b"%d" % (number % 7)) for number in range(3000)]
    _, entries = bench.manifest(bench.build(*members))
    assert [entry.path for entry in entries] == [f"{number:05}" for number in range(3000)]
    assert bench.checks >= 3000


@pytest.mark.parametrize("bad", [tar_member("../x", b"1"), tar_member("x", b"1", checksum=b"1")])
def test_what_cannot_be_unpacked_leaves_nothing(bad: bytes) -> None:
    bench = Bench()
    before = {*bench.blobs.digests()}
    with pytest.raises(CannotUnpack):
        bench.build(tar_member("small", b"1"), tar_member("large", LARGE), bad)
    bench.act.close()
    assert bench.staging.staged == set()
    assert {*bench.blobs.digests()} == before


class _Leaving(Bench):
    def check(self) -> None:
        super().check()
        if self.checks == 3:
            raise ClientGone("The client closed the connection; nothing was kept.")


def test_the_work_ends_when_the_check_says_so() -> None:
    bench = _Leaving()
    with pytest.raises(ClientGone):
        bench.build(*(tar_member(f"{number}", b"%d" % number) for number in range(10)))
    bench.act.close()
    assert bench.checks == 3
    assert bench.staging.staged == set()


def test_a_full_store_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    def create() -> None:
        raise StorageFull("The store has no room for this upload.")

    monkeypatch.setattr(bench.staging, "create", create)
    with pytest.raises(StorageFull):
        bench.build(tar_member("large", LARGE))
    assert bench.staging.staged == set()
