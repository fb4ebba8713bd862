"""Browse tells of every name what records and manifests say, and nothing that they do not."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from httpbucket.config import Settings
from httpbucket.domain.errors import DamagedRecord, IndexNotReady, NameNotFound
from httpbucket.domain.public_path import PublicPath
from httpbucket.domain.search import UploadFilter
from httpbucket.domain.upload import Record
from httpbucket.services import browse as browse_module
from httpbucket.services.browse import Browse, Shown
from httpbucket.services.ingest import Offer
from httpbucket.services.product import Services
from httpbucket.wiring import build
from tests.backends import memory_backend
from tests.builders import gnu_long, tar, tar_member
from tests.examples import NOW, descriptor, file_of, keep
from tests.uploading import upload_file

REPLICA = "replica/user/bob/results.20261121.1432.0"
FUTURE = int((NOW + timedelta(days=900)).timestamp())


class Bench:
    """Services in memory, whose clock stands still."""

    def __init__(self) -> None:
        self.stores = memory_backend().stores
        self.services: Services = build(
            Settings.from_environ({"REPLICATE_0": "user/${USERNAME}"}), self.stores, now=lambda: NOW
        )
        self.services.reindex.catch_up()

    @property
    def browse(self) -> Browse:
        return self.services.browse

    def upload(self, content: bytes, filename: str, **headers: str) -> Record:
        return upload_file(self.services.ingest, content, filename, headers=headers or {}).record

    def look(self, path: str) -> Shown:
        return self.browse.look(PublicPath.parse(path))


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.stores.index.close()


@pytest.fixture
def record(bench: Bench) -> Record:
    """A compressed tar, with a replica."""
    members = (
        tar_member("a.txt", b"a", mtime=1_700_000_000),
        tar_member("future.txt", b"f", mtime=FUTURE),
        tar_member("old.txt", b"o", mtime=0),
        tar_member("sub/run", b"#!", mode=0o755),
    )
    return bench.upload(gzip.compress(tar(*members)), "results.tgz", username="bob")


class TestFacts:
    def test_a_member_has_its_own_facts(self, bench: Bench, record: Record) -> None:
        for top in (f"{record.id.directory}/results", REPLICA):
            facts = bench.look(f"{top}/a.txt").facts
            assert facts is not None
            assert facts.blob.sha256 == descriptor(b"a").sha256
            assert facts.modified == datetime.fromtimestamp(1_700_000_000, UTC)
            assert (facts.received, facts.executable) == (NOW, False)
            executable = bench.look(f"{top}/sub/run").facts
            assert executable is not None
            assert executable.executable

    def test_a_time_to_come_is_told_as_when_it_came(self, bench: Bench, record: Record) -> None:
        assert bench.look(f"{record.id.directory}/results/future.txt").modified == NOW
        old = bench.look(f"{record.id.directory}/results/old.txt").modified
        assert old == datetime(1970, 1, 1, tzinfo=UTC)

    @pytest.mark.usefixtures("record")
    def test_under_latest_a_file_changed_when_it_was_published(self, bench: Bench) -> None:
        shown = bench.look("replica/user/bob/results.latest/a.txt")
        assert shown.is_moving
        assert str(shown.resolved) == f"{REPLICA}/a.txt"
        assert shown.modified == NOW

    def test_the_file_and_its_decompressed_form_have_theirs(
        self, bench: Bench, record: Record
    ) -> None:
        uploaded = bench.look(f"{record.id.directory}/results.tgz").facts
        inside = bench.look(f"{record.id.directory}/results.tar").facts
        assert uploaded is not None
        assert (uploaded.blob, uploaded.packed) == (file_of(record).blob, None)
        assert inside is not None
        assert record.decompressed is not None
        assert inside.blob == record.decompressed.blob
        assert inside.packed == file_of(record).blob

    def test_a_directory_has_none_but_leads_to_its_upload(
        self, bench: Bench, record: Record
    ) -> None:
        for path in (record.id.directory, f"{record.id.directory}/results/sub", REPLICA):
            shown = bench.look(path)
            assert shown.facts is None
            assert bench.browse.upload_of(shown) == record
        assert bench.browse.upload_of(bench.look("replica/user/bob")) is None
        assert bench.browse.upload_of(bench.look("archive/2026")) is None

    @pytest.mark.usefixtures("record")
    def test_what_is_nowhere_is_told(self, bench: Bench) -> None:
        for path in ("archive/2026/11/21/x", f"{REPLICA}/nothing", f"{REPLICA}x"):
            with pytest.raises(NameNotFound):
                bench.look(path)

    @pytest.mark.parametrize("manifest", [b"", b"{}\n", b"{}\n[]\n", b"{}\n{half"])
    def test_a_damaged_manifest_takes_the_facts_away_and_not_the_file(
        self, bench: Bench, record: Record, caplog: pytest.LogCaptureFixture, manifest: bytes
    ) -> None:
        blob = keep(bench.stores, manifest)
        assert record.tree
        damaged = replace(record, tree=replace(record.tree, manifest=blob))
        good = record.tree.manifest.sha256
        shelves = bench.stores.shelves
        path = PublicPath.parse(f"{record.id.directory}/results/a.txt")
        entry = shelves.look(path)
        bench.stores.records.publish(damaged)
        with caplog.at_level(logging.ERROR), bench.browse._finder() as finder:
            assert finder.find(path) is None
        assert (entry.size, bench.stores.blobs.size(good) is not None) == (1, True)


class TestWalking:
    def test_everything_below_is_found_in_order_but_no_links(
        self, bench: Bench, record: Record
    ) -> None:
        top = bench.look("replica")
        found = [shown.path.below(top.path) for shown in bench.browse.walk(top)]
        start = "user/bob/results.20261121.1432.0/"
        assert found == [f"{start}{name}" for name in ("a.txt", "future.txt", "old.txt", "sub/run")]
        assert record.replicas[0].path == REPLICA

    def test_trees_may_be_deeper_than_the_stack(self, bench: Bench) -> None:
        deep = build(
            replace(Settings.from_environ({"UNPACK_MAX_PATH": "4000"}), unpack_max_depth=2000),
            bench.stores,
            now=lambda: NOW,
        )
        act = deep.ingest.begin()
        incoming = act.new_file()
        path = "d/" * 1500 + "x"
        incoming.write(tar(gnu_long(path), tar_member("x", b"deep")))
        record = deep.ingest.keep(Offer(incoming, "deep.tar")).record
        act.close()
        assert record.tree is not None
        top = bench.look(f"{record.id.directory}/deep")
        assert [one.path.below(top.path) for one in bench.browse.walk(top)] == [path]

    def test_empty_directories_and_full_ones_are_told_apart(self, bench: Bench) -> None:
        members = ("a/", "b/c/", "d/e.txt", "f/g/h/")
        packed = tar(
            *(tar_member(name, kind=b"5" if name[-1] == "/" else b"0") for name in members)
        )
        record = bench.upload(packed, "x.tar")
        top = bench.look(f"{record.id.directory}/x")
        found = [one.path.below(top.path) for one in bench.browse.walk(top)]
        assert found == ["a", "b/c", "d/e.txt", "f/g/h"]

    def test_a_directory_without_entries_is_found_itself(self, bench: Bench) -> None:
        top = bench.look("archive")
        assert list(bench.browse.walk(top)) == [top]

    def test_small_pages_give_the_same(
        self, bench: Bench, record: Record, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        top = bench.look(f"{record.id.directory}/results")
        whole = list(bench.browse.walk(top)), list(bench.browse.entries(top))
        monkeypatch.setattr(browse_module, "PAGE_ENTRIES", 1)
        assert (list(bench.browse.walk(top)), list(bench.browse.entries(top))) == whole

    @pytest.mark.usefixtures("record")
    def test_a_replica_that_the_index_may_not_know_is_not_passed_over(self, bench: Bench) -> None:
        bench.stores.index.mark_incomplete()
        fresh = memory_backend().stores
        stores = replace(bench.stores, index=fresh.index)
        browse = build(Settings.from_environ({}), stores).browse
        shown = browse.look(PublicPath.parse(f"{REPLICA}/a.txt"))
        assert shown.facts is None
        with pytest.raises(IndexNotReady):
            list(browse.walk(browse.look(PublicPath.parse("replica"))))


class TestUploads:
    def test_the_newest_come_first(self, bench: Bench) -> None:
        records = [bench.upload(b"x", f"{number}.txt") for number in range(3)]
        newest = sorted(records, key=lambda record: record.id, reverse=True)
        find = partial(bench.services.searching.find, UploadFilter(), limit=2)
        assert find().records == tuple(newest[:2])
        assert find(before=str(newest[1].id)).records == tuple(newest[2:])

    def test_a_gzip_file_stands_for_its_content_only_when_that_is_all(self, bench: Bench) -> None:
        one = gzip.compress(b"line\n")
        alone = bench.upload(one, "alone.log.gz")
        several = bench.upload(one + one, "several.log.gz")
        shown = bench.look(f"{alone.id.directory}/alone.log")
        assert bench.browse.gzip_of(shown) == file_of(alone).blob
        shown = bench.look(f"{several.id.directory}/several.log")
        assert bench.browse.gzip_of(shown) is None
        assert bench.browse.gzip_of(bench.look(f"{alone.id.directory}/alone.log.gz")) is None


def test_a_damaged_record_is_told_as_such(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    record = bench.upload(b"content", "results.xml")

    def unreadable(_: object) -> None:
        raise ValueError("not a record")

    monkeypatch.setattr(bench.stores.records, "load", unreadable)
    with pytest.raises(DamagedRecord, match=str(record.id)):
        bench.browse.upload(record.id)
