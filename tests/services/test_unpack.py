"""What is kept of what comes in: the table of compressed files and archive files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import ClientGone, StorageFull
from httpbucket.domain.unpacking import CannotUnpack, LimitExceeded, UnpackWish
from httpbucket.services.ingest import Offer
from httpbucket.storage.base import StagedFile
from tests.builders import COMPRESSORS, ZipEntry, tar, tar_member, zip_file, zstd_with_window
from tests.examples import identity
from tests.services.archives import (
    COMPRESSED_TARS,
    MEMBERS,
    TAR,
    TGZ,
    ZIP,
    Bench,
    problems,
)

TEXT = b"a line of a log\n" * 1000


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    assert bench.staging.staged == set()


class TestTheTable:
    @pytest.mark.parametrize("content", [TEXT, b"", bytes(10_240), b"\x89PNG\r\n\x1a\n" + ZIP])
    def test_a_file_is_kept_as_it_is(self, bench: Bench, content: bytes) -> None:
        record = bench.upload(content, "log.txt").record
        assert (record.decompressed, record.tree, record.findings) == (None, None, ())
        assert bench.kept() == {identity(content)} - {identity(b"")}

    @pytest.mark.parametrize("compression", COMPRESSORS)
    def test_a_compressed_file_is_kept_with_what_is_in_it(
        self, bench: Bench, compression: str
    ) -> None:
        packed = COMPRESSORS[compression](TEXT)
        suffix = {"gzip": "gz", "bzip2": "bz2", "xz": "xz", "zstd": "zst"}[compression]
        record = bench.upload(packed, f"run.log.{suffix}").record
        assert record.decompressed is not None
        assert record.decompressed.name == "run.log"
        assert record.decompressed.blob.media_type == "text/plain"
        assert bench.content(record.decompressed.blob.sha256) == TEXT
        assert (record.tree, record.findings) == (None, ())
        assert bench.kept() == {identity(packed), identity(TEXT)}

    @pytest.mark.parametrize("compression", COMPRESSORS)
    def test_an_empty_compressed_file_holds_the_empty_content(
        self, bench: Bench, compression: str
    ) -> None:
        record = bench.upload(COMPRESSORS[compression](b""), "nothing.gz").record
        assert record.decompressed is not None
        assert record.decompressed.blob.sha256 == identity(b"")

    @pytest.mark.parametrize(("content", "name"), [(TAR, "report.tar"), (ZIP, "report.zip")])
    def test_an_archive_file_is_kept_with_its_tree(
        self, bench: Bench, content: bytes, name: str
    ) -> None:
        record = bench.upload(content, name).record
        assert record.decompressed is None
        assert record.tree is not None
        assert bench.tree(record) == MEMBERS
        assert (record.tree.name, record.tree.files) == ("report", 3)
        assert record.tree.size == sum(map(len, MEMBERS.values()))
        members = {identity(member) for member in MEMBERS.values()} - {identity(b"")}
        assert bench.kept() == {identity(content), record.tree.manifest.sha256, *members}

    @pytest.mark.parametrize("suffix", COMPRESSED_TARS)
    def test_a_compressed_archive_file_is_kept_with_the_archive_file_and_its_tree(
        self, bench: Bench, suffix: str
    ) -> None:
        record = bench.upload(COMPRESSED_TARS[suffix], f"report{suffix}").record
        assert record.decompressed is not None
        assert record.decompressed.name == "report.tar"
        assert record.archive_file is record.decompressed
        assert bench.content(record.decompressed.blob.sha256) == TAR
        assert record.tree is not None
        assert record.tree.name == "report"
        assert bench.tree(record) == MEMBERS

    def test_the_content_decides_and_not_the_name(self, bench: Bench) -> None:
        record = bench.upload(TGZ, "report").record
        assert (record.decompressed and record.decompressed.name) == "report.decompressed"
        assert (record.tree and record.tree.name) == "report.d"
        assert bench.tree(bench.upload(TAR, "really.zip").record) == MEMBERS
        assert bench.upload(TEXT, "no.tgz").record.findings == ()

    def test_an_archive_file_in_an_archive_file_stays_a_file(self, bench: Bench) -> None:
        outer = tar(tar_member("inner.tgz", TGZ), tar_member("inner.zip", ZIP))
        assert bench.tree(bench.upload(outer, "outer.tar").record) == {
            "inner.tgz": TGZ,
            "inner.zip": ZIP,
        }

    def test_what_is_compressed_twice_is_decompressed_once(self, bench: Bench) -> None:
        record = bench.upload(COMPRESSORS["xz"](TGZ), "report.tgz.xz").record
        assert record.decompressed is not None
        assert bench.content(record.decompressed.blob.sha256) == TGZ
        assert record.tree is None

    def test_a_compressed_zip_is_unpacked_too(self, bench: Bench) -> None:
        assert bench.tree(bench.upload(COMPRESSORS["gzip"](ZIP), "a.zip.gz").record) == MEMBERS

    def test_members_large_and_small_are_kept_whole(self, bench: Bench) -> None:
        members = {"large": bytes(range(256)) * 10_000, "small": b"1", "again": b"1"}
        record = bench.upload(tar(*(tar_member(*one) for one in members.items())), "a.tar").record
        assert bench.tree(record) == members

    def test_findings_about_members_are_told(self, bench: Bench) -> None:
        fifo = tar_member("pipe", kind=b"6")
        record = bench.upload(tar(fifo, tar_member("x", b"1")), "a.tar").record
        assert problems(record) == ["member-left-out"]
        assert bench.tree(record) == {"x": b"1"}

    @pytest.mark.parametrize("kind", [b"6", b"1"], ids=["FIFO", "hardlink to nothing"])
    def test_a_file_may_have_the_name_of_what_is_left_out(self, bench: Bench, kind: bytes) -> None:
        other, file = tar_member("x", kind=kind), tar_member("x", b"1")
        for number, members in enumerate([(other, file), (file, other)]):
            record = bench.upload(tar(*members, tar_member(f"{number}")), "a.tar").record
            assert bench.tree(record) == {"x": b"1", f"{number}": b""}

    def test_bytes_behind_a_compressed_stream_are_told(self, bench: Bench) -> None:
        record = bench.upload(TGZ + b"trailing text", "a.tgz").record
        assert problems(record) == ["trailing-bytes"]
        assert bench.tree(record) == MEMBERS


class TestWishes:
    JAR = zip_file(ZipEntry("A.class", b"code"))

    def test_a_name_can_veto(self, bench: Bench) -> None:
        receipt = bench.upload(self.JAR, "App.JAR")
        assert (receipt.record.tree, receipt.record.findings) == (None, ())
        assert "Left packed, because of its name; Unpack: true unpacks it." in receipt.log

    @pytest.mark.parametrize("wish", [UnpackWish.TRUE, UnpackWish.REQUIRE])
    def test_a_client_that_asks_overrules_the_name(self, bench: Bench, wish: UnpackWish) -> None:
        record = bench.upload(self.JAR, "app.jar", wish).record
        assert bench.tree(record) == {"A.class": b"code"}

    @pytest.mark.parametrize("content", [TGZ, ZIP, COMPRESSORS["xz"](TEXT)])
    def test_a_client_can_have_a_file_left_as_it_is(self, bench: Bench, content: bytes) -> None:
        receipt = bench.upload(content, "a.tgz", UnpackWish.FALSE)
        assert (receipt.record.decompressed, receipt.record.tree) == (None, None)
        assert bench.kept() == {identity(content)}
        assert "Left packed, as the client asked." in receipt.log

    def test_requiring_what_can_be_done_is_no_refusal(self, bench: Bench) -> None:
        assert bench.tree(bench.upload(TGZ, "a.tgz", UnpackWish.REQUIRE).record) == MEMBERS
        packed = COMPRESSORS["gzip"](TEXT)
        assert bench.upload(packed, "a.gz", UnpackWish.REQUIRE).record.decompressed is not None

    def test_requiring_it_of_a_plain_file_is_refused(self, bench: Bench) -> None:
        with pytest.raises(CannotUnpack, match="text/plain, with nothing to unpack"):
            bench.upload(TEXT, "a.txt", UnpackWish.REQUIRE)
        assert bench.kept() == set()

    def test_the_operator_chooses_the_names(self) -> None:
        bench = Bench(UNPACK_NOT=".tgz")
        assert bench.upload(TGZ, "a.tgz").record.decompressed is None
        assert bench.upload(self.JAR, "a.jar").record.tree is not None


REFUSED = {
    "unsafe-member-name": (tar(tar_member("x", b"1"), tar_member("../evil", b"2")), {}),
    "truncated-archive": (TAR[:1024], {}),
    "corrupt-archive": (tar(tar_member("x", b"1"), b"\x01" * 512), {}),
    "encrypted-archive": (zip_file(ZipEntry("x", b"1", flags=1)), {}),
    "unsupported-archive": (zip_file(ZipEntry("x", b"1", method=99, stored=b"1")), {}),
    "unpack-limit": (tar(tar_member("x", bytes(2000))), {"UNPACK_MAX_BYTES": "1kb"}),
}


class TestRefusals:
    @pytest.mark.parametrize("problem", REFUSED)
    def test_a_refusal_is_a_finding_and_the_file_is_kept(self, problem: str) -> None:
        content, settings = REFUSED[problem]
        bench = Bench(**settings)
        receipt = bench.upload(content, "a.tar")
        assert problems(receipt.record) == [problem]
        assert receipt.record.tree is None
        assert any(line.startswith("Not unpacked: ") for line in receipt.log)
        assert bench.kept() == {identity(content)}
        assert bench.staging.staged == set()

    @pytest.mark.parametrize("problem", REFUSED)
    def test_where_it_is_required_a_refusal_keeps_nothing(self, problem: str) -> None:
        content, settings = REFUSED[problem]
        bench = Bench(**settings)
        with pytest.raises(CannotUnpack) as refusal:
            bench.upload(content, "a.tar", UnpackWish.REQUIRE)
        assert refusal.value.problem == problem
        assert bench.kept() == set()
        assert bench.staging.staged == set()
        assert list(bench.records.ids()) == []

    @pytest.mark.parametrize("compression", COMPRESSORS)
    def test_a_stream_that_ended_well_stays_when_the_tar_in_it_is_refused(
        self, bench: Bench, compression: str
    ) -> None:
        hostile, _ = REFUSED["unsafe-member-name"]
        packed = COMPRESSORS[compression](hostile)
        record = bench.upload(packed, "a.tgz").record
        assert problems(record) == ["unsafe-member-name"]
        assert record.decompressed is not None
        assert bench.kept() == {identity(packed), identity(hostile)}

    @pytest.mark.parametrize("compression", COMPRESSORS)
    def test_of_a_stream_that_breaks_off_nothing_is_kept(
        self, bench: Bench, compression: str
    ) -> None:
        packed = COMPRESSORS[compression](bytes(range(256)) * 100)[:-5]
        record = bench.upload(packed, "a.gz").record
        assert problems(record) == ["truncated-archive"]
        assert bench.kept() == {identity(packed)}

    def test_a_window_beyond_memory_is_refused(self, bench: Bench) -> None:
        packed = zstd_with_window(bytes(1000), 30)
        assert problems(bench.upload(packed, "a.zst").record) == ["unsupported-archive"]

    @pytest.mark.parametrize(
        ("limit", "value", "content"),
        [
            ("UNPACK_MAX_BYTES", "10kb", COMPRESSORS["bzip2"](bytes(20_000))),
            ("UNPACK_MAX_MEMBERS", "2", TAR),
            ("UNPACK_MAX_DEPTH", "1", TAR),
            ("UNPACK_MAX_PATH", "10", ZIP),
        ],
    )
    def test_a_limit_is_named(self, limit: str, value: str, content: bytes) -> None:
        bench = Bench(**{limit: value})
        with pytest.raises(LimitExceeded, match=limit) as refusal:
            bench.upload(content, "a.tar", UnpackWish.REQUIRE)
        assert refusal.value.detail["limit"] == limit
        record = bench.upload(content, "a.tar").record
        assert problems(record) == ["unpack-limit"]
        assert limit in record.findings[0].sentence

    def test_what_came_out_of_a_bomb_takes_no_room_while_the_file_is_kept(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench = Bench(UNPACK_MAX_BYTES="1mb")
        keep, staged_meanwhile = bench.blobs.keep, []

        def watch(staged: StagedFile, digest: Digest) -> bool:
            staged_meanwhile.append(set(bench.staging.staged))
            return keep(staged, digest)

        monkeypatch.setattr(bench.blobs, "keep", watch)
        act = bench.ingest.begin()
        incoming = act.new_file()
        incoming.write(COMPRESSORS["gzip"](bytes(2 * 1024**2)))
        record = bench.ingest.keep(Offer(incoming, "bomb.gz")).record
        assert problems(record) == ["unpack-limit"]
        assert staged_meanwhile == [{incoming.staged}]
        act.close()

    def test_a_full_store_is_no_finding_but_a_refusal(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def create() -> None:
            raise StorageFull("The store has no room for this upload.")

        act = bench.ingest.begin()
        incoming = act.new_file()
        incoming.write(TGZ)
        monkeypatch.setattr(bench.staging, "create", create)
        with pytest.raises(StorageFull):
            bench.ingest.keep(Offer(incoming, "a.tgz"))
        act.close()
        assert bench.kept() == set()


class TestClientsThatLeave:
    @pytest.mark.parametrize("content", [TGZ, TAR, ZIP, COMPRESSORS["gzip"](TEXT)])
    def test_a_client_that_is_gone_ends_the_work(self, bench: Bench, content: bytes) -> None:
        with pytest.raises(ClientGone):
            bench.upload(content, "a.tgz", is_gone=lambda: True)
        assert bench.kept() == set()
        assert bench.staging.staged == set()

    def test_it_is_noticed_between_members(self, bench: Bench) -> None:
        asked = iter([False, False, True])
        many = tar(*(tar_member(f"{number}", b"%d" % number) for number in range(10)))
        with pytest.raises(ClientGone):
            bench.upload(many, "a.tar", is_gone=lambda: next(asked))
        assert bench.kept() == set()

    def test_it_is_noticed_within_a_large_member(self, bench: Bench) -> None:
        asked = iter([False, False, False, True])
        large = tar(tar_member("large", bytes(8 * 1024**2)))
        with pytest.raises(ClientGone):
            bench.upload(large, "a.tar", is_gone=lambda: next(asked))
        assert bench.staging.staged == set()

    def test_a_file_without_anything_inside_is_kept_all_the_same(self, bench: Bench) -> None:
        assert bench.upload(TEXT, "a.txt", is_gone=lambda: True).record.tree is None


class Held:
    """A client that is asked whether it still waits, and holds up its unpacking meanwhile."""

    def __init__(self) -> None:
        self.works = threading.Event()
        self.may_go_on = threading.Event()

    def hold(self) -> bool:
        self.works.set()
        assert self.may_go_on.wait(30)
        return False


class TestWaiting:
    def test_so_many_files_are_worked_on_at_a_time(self) -> None:
        """The second one waits until the first is done with its members."""
        bench = Bench(UNPACK_CONCURRENCY="1")
        first, second_was_asked = Held(), threading.Event()

        def look() -> bool:
            second_was_asked.set()
            return False

        with ThreadPoolExecutor(2) as clients:
            kept = clients.submit(bench.upload, TAR, "first.tar", is_gone=first.hold)
            assert first.works.wait(30)
            second = clients.submit(bench.upload, ZIP, "second.zip", is_gone=look)
            # Asked whether its client still waits, it has neither begun nor ended.
            assert second_was_asked.wait(30)
            assert bench.blobs.batches == 1
            first.may_go_on.set()
            assert kept.result().record.tree is not None
            assert second.result().record.tree is not None
        assert bench.blobs.batches == 2

    def test_who_waits_and_leaves_is_let_go(self) -> None:
        bench = Bench(UNPACK_CONCURRENCY="1")
        first = Held()
        with ThreadPoolExecutor(1) as clients:
            kept = clients.submit(bench.upload, TAR, "first.tar", is_gone=first.hold)
            assert first.works.wait(30)
            with pytest.raises(ClientGone):
                bench.upload(ZIP, "second.zip", is_gone=lambda: True)
            first.may_go_on.set()
            assert kept.result().record.tree is not None
        assert bench.staging.staged == set()

    def test_a_plain_file_waits_for_nobody(self) -> None:
        bench = Bench(UNPACK_CONCURRENCY="1")
        first = Held()
        with ThreadPoolExecutor(1) as clients:
            kept = clients.submit(bench.upload, TAR, "first.tar", is_gone=first.hold)
            assert first.works.wait(30)
            assert bench.upload(TEXT, "a.txt").record.tree is None
            assert bench.upload(TGZ, "a.tgz", UnpackWish.FALSE).record.tree is None
            first.may_go_on.set()
            kept.result()

    def test_a_refusal_gives_the_place_free(self) -> None:
        bench = Bench(UNPACK_CONCURRENCY="1")
        for _ in range(3):
            assert problems(bench.upload(TAR[:1024], "a.tar").record) == ["truncated-archive"]
        assert bench.tree(bench.upload(TAR, "a.tar").record) == MEMBERS
