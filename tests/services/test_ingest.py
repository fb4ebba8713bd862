"""Ingest keeps in the order that its promise needs, and leaves nothing of what it refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from httpbucket.config import Settings
from httpbucket.domain.errors import (
    ContentVanished,
    EmptyFilename,
    IndexNotReady,
    StorageFull,
    StorageUnavailable,
    TooLarge,
)
from httpbucket.domain.upload import Receipt
from httpbucket.storage.memory import MemoryReplicas, MemoryStaging
from httpbucket.wiring import build
from tests.backends import memory_stores
from tests.examples import DIGESTS, NOW, descriptor, file_of, upload_id
from tests.services.fakes import Journal, RecordingBlobStore, RecordingIndex, RecordingRecords
from tests.uploading import upload_file

LIMIT = 1000


class Bench:
    """Ingest on recording ports."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.staging = MemoryStaging()
        self.blobs = RecordingBlobStore(self.journal)
        self.records = RecordingRecords(self.journal)
        self.index = RecordingIndex(self.journal)
        self.replicas = MemoryReplicas()
        stores = memory_stores(
            staging=self.staging,
            blobs=self.blobs,
            records=self.records,
            replicas=self.replicas,
            index=self.index,
        )
        settings = {
            "DIGESTS": ",".join(DIGESTS),
            "MAX_CONTENT_LENGTH": str(LIMIT),
            "REPLICATE_0": "user/${USERNAME}",
        }
        services = build(
            Settings.from_environ(settings),
            stores,
            media_type_of=lambda head: "text/plain",
            now=lambda: NOW,
            random_bits=lambda: 7,
        )
        self.ingest = services.ingest
        self.has_gap = services.index_gap.is_set

    def upload(
        self,
        content: bytes,
        filename: str | None = "results.xml",
        headers: Mapping[str, str] | None = None,
    ) -> Receipt:
        """An act of one file."""
        return upload_file(self.ingest, content, filename, headers=headers or {})


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    assert bench.staging.staged == set()


class TestKeeping:
    def test_the_content_comes_first_then_the_record_then_the_index(self, bench: Bench) -> None:
        bench.upload(b"content")
        assert bench.journal.steps == ["keep blob", "publish record", "add to index"]

    def test_the_record_says_what_came(self, bench: Bench) -> None:
        record = bench.upload(b"content").record
        assert record.id == upload_id(7)
        assert record.received == NOW
        assert file_of(record).name == "results.xml"
        assert file_of(record).blob == descriptor(b"content")
        assert bench.records.load(record.id) == record

    def test_an_empty_file_is_kept(self, bench: Bench) -> None:
        assert file_of(bench.upload(b"").record).blob == descriptor(b"")

    def test_content_that_is_known_is_recorded_again(self, bench: Bench) -> None:
        bench.upload(b"content")
        again = bench.upload(b"content", "other.xml")
        assert bench.journal.steps.count("publish record") == 2
        assert any(line.startswith("Known already as sha256:") for line in again.log)

    def test_the_log_tells_each_step(self, bench: Bench) -> None:
        blob = descriptor(b"content")
        assert bench.upload(b"content").log == (
            "Received 'results.xml': 7 B, text/plain.",
            f"Kept as {blob.sha256}.",
            f"Recorded as upload {upload_id(7)}.",
        )

    def test_the_log_tells_when_the_name_was_changed(self, bench: Bench) -> None:
        log = bench.upload(b"content", "../../etc/passwd").log
        assert "The name '../../etc/passwd' was changed to 'passwd'." in log

    def test_a_long_name_is_not_told_at_length(self, bench: Bench) -> None:
        assert max(map(len, bench.upload(b"content", "n" * 100_000).log)) < 500

    def test_the_media_type_is_told_by_the_first_bytes(self) -> None:
        heads: list[bytes] = []
        bench = Bench()
        incoming = (act := bench.ingest.begin()).new_file()
        for piece in (b"a" * 300, b"b" * 300):
            incoming.write(piece)
        incoming.describe(lambda head: heads.append(head) or "text/plain")  # type: ignore[func-returns-value]
        act.close()
        assert heads == [b"a" * 300 + b"b" * 300]


class TestRefusing:
    @pytest.mark.parametrize("filename", [None, ""])
    def test_a_file_without_a_name_is_not_kept(self, bench: Bench, filename: str | None) -> None:
        with pytest.raises(EmptyFilename):
            bench.upload(b"content", filename)
        assert bench.journal.steps == []

    def test_without_room_for_the_content_nothing_is_recorded(self, bench: Bench) -> None:
        bench.journal.refusals["keep blob"] = StorageFull("no room")
        with pytest.raises(StorageFull):
            bench.upload(b"content")
        assert bench.journal.steps == ["keep blob"]
        assert list(bench.records.ids()) == []

    def test_without_a_record_the_index_is_not_told(self, bench: Bench) -> None:
        bench.journal.refusals["publish record"] = StorageUnavailable("not now")
        with pytest.raises(StorageUnavailable):
            bench.upload(b"content")
        assert bench.journal.steps == ["keep blob", "publish record"]
        assert bench.index.find(descriptor(b"content").sha256) == ()

    def test_an_index_that_fails_is_no_reason_to_refuse(self, bench: Bench) -> None:
        bench.journal.refusals["add to index"] = IndexNotReady("not now")
        record = bench.upload(b"content").record
        assert bench.records.load(record.id) == record
        assert bench.has_gap()

    def test_whatever_is_wrong_with_the_index_the_upload_is_kept(self, bench: Bench) -> None:
        bench.journal.refusals["add to index"] = OverflowError("too large for SQLite")
        record = bench.upload(b"content").record
        assert bench.records.load(record.id) == record
        assert bench.has_gap()

    def test_content_that_vanishes_after_publishing_makes_no_second_upload(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def make(_: object) -> None:
            raise ContentVanished("The blob is gone.")

        monkeypatch.setattr(bench.replicas, "make", make)
        with pytest.raises(StorageUnavailable):
            bench.upload(b"content", headers={"username": "bob"})
        assert len(list(bench.records.ids())) == 1

    def test_the_index_knows_an_upload_whose_replicas_could_not_be_made(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def make(_: object) -> None:
            raise StorageFull("no room")

        monkeypatch.setattr(bench.replicas, "make", make)
        with pytest.raises(StorageFull):
            bench.upload(b"content", headers={"username": "bob"})
        (upload,) = bench.records.ids()
        assert bench.index.has_upload(upload)
        assert len(bench.records.load(upload).replicas) == 1

    def test_an_index_that_works_leaves_no_gap(self, bench: Bench) -> None:
        bench.upload(b"content")
        assert not bench.has_gap()


class TestActs:
    def test_a_file_of_exactly_the_limit_is_taken(self, bench: Bench) -> None:
        assert file_of(bench.upload(b"x" * LIMIT).record).blob.size == LIMIT

    def test_one_byte_over_the_limit_is_refused(self, bench: Bench) -> None:
        with pytest.raises(TooLarge) as raised:
            bench.upload(b"x" * (LIMIT + 1))
        assert raised.value.detail == {"max_content_length": LIMIT}
        assert bench.journal.steps == []

    def test_the_files_of_an_act_share_the_limit(self, bench: Bench) -> None:
        act = bench.ingest.begin()
        act.new_file().write(b"x" * (LIMIT - 1))
        second = act.new_file()
        second.write(b"x")
        with pytest.raises(TooLarge):
            second.write(b"x")
        act.close()

    def test_an_announced_size_over_the_limit_is_refused_before_anything(
        self, bench: Bench
    ) -> None:
        act = bench.ingest.begin()
        act.expect(LIMIT)
        with pytest.raises(TooLarge):
            act.expect(LIMIT + 1)

    def test_the_end_of_an_act_forgets_what_was_not_kept(self, bench: Bench) -> None:
        act = bench.ingest.begin()
        for _ in range(3):
            act.new_file().write(b"unwanted" * 10)
        assert bench.staging.staged != set()
        act.close()
        act.close()
        assert bench.staging.staged == set()

    def test_what_came_can_be_read_before_it_is_kept(self, bench: Bench) -> None:
        act = bench.ingest.begin()
        incoming = act.new_file()
        assert incoming.write(b"content") == 7
        assert act.put_aside(incoming) is incoming
        with incoming.open() as reader:
            assert reader.read() == b"content"
        act.close()
