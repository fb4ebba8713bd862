"""The duties complete the index, one process at a time, and read again what a gap may hide."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from httpbucket.config import Settings
from httpbucket.domain.errors import IndexNotReady, StorageUnavailable
from httpbucket.domain.upload import Record, UploadId
from httpbucket.server import startup
from httpbucket.server.duties import Duties
from httpbucket.services.product import Services
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.memory import MemoryIndex
from httpbucket.wiring import Stores, build
from tests.backends import local_backend, memory_backend, staged_on_disk
from tests.examples import NOW, file_of, identity, keep_upload, stage
from tests.faults import MortalDisk
from tests.processes import in_child, waiting_child, was_killed
from tests.uploading import upload_file

SETTINGS = Settings.from_environ({"REPLICATE_0": "user/${USERNAME}"})


@pytest.fixture
def stores() -> Stores:
    return memory_backend().stores


def services_of(stores: Stores) -> Services:
    return build(SETTINGS, stores, now=lambda: NOW)


class Broken(MemoryIndex):
    """An index that can do nothing."""

    def prepare(self) -> None:
        raise IndexNotReady("not now")

    def is_complete(self) -> bool:
        raise IndexNotReady("not now")


@contextmanager
def held_by_another(duty: str) -> Iterator[bool]:
    yield False


class TestCompletingTheIndex:
    def test_an_incomplete_index_is_completed(self, stores: Stores) -> None:
        keep_upload(stores, b"content")
        duties = Duties(stores, services_of(stores))
        assert duties.complete_index() is True
        assert stores.index.is_complete() is True
        assert stores.index.find(identity(b"content")) == (identity(b"content"),)

    def test_a_complete_index_is_left_alone(self, stores: Stores) -> None:
        stores.index.mark_complete(agreed_day="")
        record = keep_upload(stores, b"content")
        assert Duties(stores, services_of(stores)).complete_index() is True
        assert stores.index.has_upload(record.id) is False

    def test_a_gap_is_closed_however_complete_the_index_says_it_is(self, stores: Stores) -> None:
        stores.index.mark_complete(agreed_day="")
        record = keep_upload(stores, b"content")
        services = services_of(stores)
        services.index_gap.set()
        assert Duties(stores, services).complete_index() is True
        assert stores.index.has_upload(record.id) is True
        assert stores.index.is_complete() is True
        assert services.index_gap.is_set() is False

    def test_what_another_process_is_doing_is_left_to_it(self, stores: Stores) -> None:
        record = keep_upload(stores, b"content")
        stores = replace(stores, only_one=held_by_another)
        assert Duties(stores, services_of(stores)).complete_index() is False
        assert stores.index.has_upload(record.id) is False
        assert stores.index.is_complete() is False

    def test_an_own_gap_is_remembered_while_another_process_reads(self, stores: Stores) -> None:
        record = keep_upload(stores, b"content")
        stores.index.mark_complete(agreed_day="")
        others = replace(stores, only_one=held_by_another)
        services = services_of(stores)
        services.index_gap.set()
        duties = Duties(others, services)
        assert duties.complete_index() is False
        stores.index.mark_complete(agreed_day="")
        assert duties.complete_index() is False
        duties._stores = stores
        assert duties.complete_index() is True
        assert stores.index.has_upload(record.id) is True

    def test_it_stops_between_two_records_when_told(self, stores: Stores) -> None:
        keep_upload(stores, b"content")
        duties = Duties(stores, services_of(stores))
        duties.stop()
        assert duties.complete_index() is False
        assert stores.index.is_complete() is False

    def test_an_index_that_fails_is_tried_again(self, stores: Stores) -> None:
        broken = replace(stores, index=Broken())
        assert Duties(broken, services_of(broken))._try_to_complete_index() is False

    def test_an_index_that_fails_in_an_unknown_way_is_tried_again(
        self, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        duties = Duties(stores, services_of(stores))

        def fail(**_: object) -> None:
            raise ArithmeticError("a mistake of ours")

        with monkeypatch.context() as patch:
            patch.setattr(stores.index, "mark_complete", fail)
            assert duties._try_to_complete_index() is False
        assert duties._try_to_complete_index() is True


class TestClearingUp:
    def test_what_a_killed_worker_left_goes_when_another_begins(self, tmp_path: Path) -> None:
        stores = local_backend(tmp_path / "store").stores
        left = tmp_path / "store" / "private" / "staging" / "4711-abcdef01"
        left.mkdir()
        (left / "half").write_bytes(b"half of an upload")
        Duties(stores, services_of(stores)).clear_up()
        assert not left.exists()

    def test_the_index_learns_of_what_a_killed_worker_published_last(self, tmp_path: Path) -> None:
        stores = local_backend(tmp_path / "store").stores
        stores.index.mark_complete(agreed_day="")

        def publish_and_die() -> Record:
            return keep_upload(stores, b"content")

        record = in_child(publish_and_die)
        duties = Duties(stores, services_of(stores))
        duties.clear_up()
        assert duties.complete_index() is True
        assert stores.index.has_upload(record.id) is True
        stores.index.close()

    def test_it_does_though_clearing_up_behind_it_fails_half_way(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stores = local_backend(tmp_path / "store").stores
        stores.index.mark_complete(agreed_day="")
        record = in_child(lambda: keep_upload(stores, b"content"))
        duties = Duties(stores, services_of(stores))

        def fail() -> int:
            raise StorageUnavailable("too many open files")

        with monkeypatch.context() as patch:
            patch.setattr(stores.replicas, "finish", fail)
            with pytest.raises(StorageUnavailable):
                duties.clear_up()
        assert duties.complete_index() is True
        assert stores.index.has_upload(record.id) is True
        stores.index.close()

    def test_what_a_command_published_that_was_killed_is_read_by_a_worker_that_runs(
        self, tmp_path: Path
    ) -> None:
        stores = local_backend(tmp_path / "store", unnamed=False).stores
        stores.index.mark_complete(agreed_day="")
        duties = Duties(stores, services_of(stores))

        def publish_and_die() -> Record:
            record = keep_upload(stores, b"content")
            stage(stores.staging, b"half of another file")
            return record

        record = in_child(publish_and_die)
        for _ in range(2):
            assert duties._try_to_complete_index() is True
        assert stores.index.has_upload(record.id) is True
        stores.index.close()

    def test_a_command_that_came_to_its_end_has_nothing_read_again(self, tmp_path: Path) -> None:
        stores = local_backend(tmp_path / "store").stores
        stores.index.mark_complete(agreed_day="")
        duties = Duties(stores, services_of(stores))
        record = in_child(lambda: keep_upload(stores, b"content"))
        for _ in range(3):
            assert duties._try_to_complete_index() is True
        assert stores.index.has_upload(record.id) is False
        stores.index.close()

    def test_nothing_is_read_again_when_no_worker_was_killed(self, tmp_path: Path) -> None:
        stores = local_backend(tmp_path / "store").stores
        stores.index.mark_complete(agreed_day="")
        record = keep_upload(stores, b"content")
        duties = Duties(stores, services_of(stores))
        duties.clear_up()
        assert duties.complete_index() is True
        assert stores.index.has_upload(record.id) is False
        stores.index.close()


class TestCutShortDeletes:
    def test_a_start_frees_what_they_left(self, store: Stores) -> None:
        delete_and_die(store)
        startup.prepare(store, services_of(store))
        assert store.blobs.size(identity(b"content")) is None
        assert list(store.records.removed()) == []

    def test_nothing_goes_that_an_index_which_is_not_complete_may_not_know(
        self, store: Stores
    ) -> None:
        delete_and_die(store)
        other = keep_upload(store, b"content", number=1)
        store.index.mark_incomplete()
        duties = Duties(store, services_of(store))
        duties.clear_up()
        assert duties.complete_index() is True
        duties.finish_deletes()
        duties.finish_deletes()
        assert list(store.records.removed()) == []
        assert store.index.find(identity(b"content")) == (identity(b"content"),)
        assert store.blobs.size(file_of(other).blob.sha256) == 7

    def test_what_a_delete_could_not_finish_is_finished_a_round_later(self, store: Stores) -> None:
        services = services_of(store)
        duties = Duties(store, services)
        assert duties._try_to_complete_index() is True
        delete_and_die(store)
        assert duties._try_to_complete_index() is True
        assert store.blobs.size(identity(b"content")) == 7
        assert duties._try_to_complete_index() is True
        assert store.blobs.size(identity(b"content")) is None

    def test_a_command_that_is_killed_while_it_deletes_needs_no_other_and_no_start(
        self, store: Stores, tmp_path: Path
    ) -> None:
        stores, services = store, services_of(store)
        services.reindex.catch_up()
        duties = Duties(stores, services)
        for number in itertools.count():
            record = upload_with_replica(services)
            is_killed = was_killed(partial(delete_until, tmp_path / "store", record.id, number))
            for _ in range(4):
                assert duties._try_to_complete_index() is True
            replicas = list((tmp_path / "store" / "replica").rglob("a.*"))
            if stores.records.has(record.id):
                assert len(replicas) == 2
                services.delete.upload(record.id)
            else:
                assert replicas == []
            private = tmp_path / "store" / "private"
            assert [*(private / "redo").iterdir(), *(private / "trash").iterdir()] == []
            if not is_killed:
                break
        assert number > 5

    def test_one_that_an_incomplete_index_stopped_is_not_forgotten(self, store: Stores) -> None:
        record = keep_upload(store, b"content")
        services = services_of(store)
        services.reindex.catch_up()
        remove = store.records.remove

        def remove_and_lose_the_index(*args: Any, **options: Any) -> Record | None:
            removed = remove(*args, **options)
            store.index.mark_incomplete()
            return removed

        store.records.remove = remove_and_lose_the_index  # type: ignore[method-assign]
        assert services.delete.upload(record.id).is_finished is False
        assert services.delete.removed() == {record.id}
        services.reindex.catch_up()
        assert services.delete.finish() == 1
        assert store.blobs.size(identity(b"content")) is None


def upload_with_replica(services: Services) -> Record:
    return upload_file(services.ingest, b"content", "a.txt", headers={"username": "bob"}).record


def delete_until(root: Path, upload: UploadId, number: int) -> None:
    """Delete, and be killed at the call to the disk of this number."""
    disk = MortalDisk()
    services = services_of(local_backend(root, disk=disk).stores)
    disk.arm(number, 0)
    services.delete.upload(upload)


def delete_and_die(stores: Stores) -> None:
    """Remove an upload of ``content``, and nothing of what that leaves."""
    record = keep_upload(stores, b"content")
    services_of(stores).reindex.catch_up()
    assert stores.records.remove(record.id) == record


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Stores]:
    """A store on disk."""
    stores = local_backend(tmp_path / "store").stores
    yield stores
    stores.index.close()


def edit_record(root: Path, old: str, new: str) -> None:
    """Change the only record, as an operator's editor or a failing disk does."""
    (path,) = root.rglob(".upload.json")
    text = path.read_text()
    assert old in text
    path.chmod(0o644)
    path.write_text(text.replace(old, new))


class TestStarting:
    @pytest.mark.parametrize("size", ["1e999", str(2**70)])
    def test_a_number_that_is_none_does_not_stop_the_start(
        self, store: Stores, tmp_path: Path, size: str
    ) -> None:
        keep_upload(store, b"content")
        edit_record(tmp_path, '"size": 7', f'"size": {size}')
        other = keep_upload(store, b"other", number=1)
        startup.prepare(store, services_of(store))
        assert store.index.is_complete() is True
        assert store.index.has_upload(other.id) is True

    def test_a_start_completes_the_index(self, stores: Stores) -> None:
        keep_upload(stores, b"content")
        stores.index.mark_complete(agreed_day="")
        startup.prepare(stores, services_of(stores))
        assert stores.index.find(identity(b"content")) == (identity(b"content"),)
        assert stores.index.is_complete() is True

    def test_a_start_does_not_wait_for_an_index_that_fails(self, stores: Stores) -> None:
        broken = replace(stores, index=Broken())
        startup.prepare(broken, services_of(broken))

    def test_a_start_removes_what_killed_processes_left(self, tmp_path: Path) -> None:
        layout = Layout(tmp_path / "store")
        killed = local_backend(layout.root, unnamed=False).stores
        with waiting_child(lambda: stage(killed.staging, b"half a file")):
            pass
        stores = local_backend(layout.root).stores
        startup.prepare(stores, services_of(stores))
        assert staged_on_disk(layout) == []

    def test_deleting_the_index_changes_no_answer_after_the_next_start(
        self, tmp_path: Path
    ) -> None:
        layout = Layout(tmp_path / "store")
        stores = local_backend(layout.root).stores
        record = keep_upload(stores, b"content")
        startup.prepare(stores, services_of(stores))
        answers = {
            digest: stores.index.find(digest) for digest in file_of(record).blob.all_digests()
        }
        stores.index.close()
        for path in layout.private.glob("index.sqlite3*"):
            path.unlink()
        again = local_backend(layout.root).stores
        startup.prepare(again, services_of(again))
        assert {digest: again.index.find(digest) for digest in answers} == answers
        assert set(answers.values()) == {(identity(b"content"),)}
        again.index.close()

    @pytest.mark.parametrize(
        ("environ", "warnings"),
        [
            ({"ARCHIVE_DIR": "/tmp/bucket"}, ["may be emptied"]),
            ({"ARCHIVE_DIR": "/srv/bucket", "FSYNC": "off"}, ["FSYNC is off"]),
            ({"ARCHIVE_DIR": "/tmpfoo"}, []),
        ],
    )
    def test_a_start_warns_of_what_is_not_safe(
        self, caplog: pytest.LogCaptureFixture, environ: dict[str, str], warnings: list[str]
    ) -> None:
        startup.warn(Settings.from_environ(environ))
        assert len(caplog.messages) == len(warnings)
        for message, words in zip(caplog.messages, warnings, strict=True):
            assert words in message

    def test_a_start_warns_of_a_store_that_takes_nothing_for_now(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        environ = {"ARCHIVE_DIR": str(tmp_path), "MIN_FREE_BYTES": "900tb"}
        startup.warn_of_store(Settings.from_environ(environ))
        (line,) = caplog.messages
        assert line.startswith("No upload is taken for now: ")
        assert "MIN_FREE_BYTES" in line

    def test_a_start_warns_of_root_outside_of_containers(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        mark = tmp_path / "mark"
        startup.warn_of_root(1000, marks=[mark])
        assert caplog.messages == []
        startup.warn_of_root(0, marks=[mark])
        (line,) = caplog.messages
        assert "runs as root" in line
        mark.touch()
        startup.warn_of_root(0, marks=[mark])
        assert len(caplog.messages) == 1

    def test_a_start_goes_on_where_nothing_can_be_cleared(self, tmp_path: Path) -> None:
        stores = local_backend(tmp_path / "store").stores
        (tmp_path / "store" / "private" / "staging").rmdir()
        startup.prepare(stores, services_of(stores))
        assert stores.index.is_complete() is True
        stores.index.close()
