"""Several processes on one store, and what those leave that were killed."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from httpbucket.domain.errors import StorageUnavailable, UploadNotFound
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.locks import only_one
from httpbucket.wiring import Stores
from tests.backends import local_backend, staged_on_disk
from tests.examples import (
    identity,
    keep,
    keep_staged,
    keep_upload,
    kept_blobs,
    record_of,
    stage,
    upload_id,
)
from tests.processes import in_child, in_children, waiting_child


class TestSweeping:
    def test_what_a_killed_process_left_is_removed(self, layout: Layout) -> None:
        backend = local_backend(layout.root, unnamed=False)
        with waiting_child(lambda: stage(backend.stores.staging, b"half a file")):
            assert len(staged_on_disk(layout)) == 1
        assert backend.stores.staging.sweep() == 1
        assert list(layout.staging.iterdir()) == []

    def test_what_a_living_process_receives_stays(self, layout: Layout) -> None:
        backend = local_backend(layout.root, unnamed=False)
        with waiting_child(lambda: stage(backend.stores.staging, b"on its way")) as child:
            assert backend.stores.staging.sweep() == 0
            (staged,) = staged_on_disk(layout)
            assert staged.startswith(f"{child}-")
            assert (layout.staging / staged).read_bytes() == b"on its way"

    def test_an_unnamed_file_goes_with_its_process(self, layout: Layout) -> None:
        backend = local_backend(layout.root)
        with waiting_child(lambda: stage(backend.stores.staging, b"half a file")):
            assert staged_on_disk(layout) == []
        assert backend.stores.staging.sweep() == 0

    def test_half_an_upload_s_directory_is_removed(self, layout: Layout, local: Stores) -> None:
        def begin() -> Path:
            aside = local_backend(layout.root).stores.records._staging.directory("half")  # type: ignore[attr-defined]
            (aside / "results.xml").write_text("half")
            assert isinstance(aside, Path)
            return aside

        with waiting_child(begin):
            assert local.staging.sweep() == 0
        assert local.staging.sweep() == 1
        assert list(layout.staging.iterdir()) == []

    def test_of_processes_that_left_nothing_the_place_may_stay(
        self, layout: Layout, local: Stores
    ) -> None:
        def begin_and_end() -> None:
            local_backend(layout.root).stores.staging.unused_path()  # type: ignore[attr-defined]

        in_child(begin_and_end)
        (layout.staging / "probe-0123").write_text("probe")
        left = set(layout.staging.iterdir())
        assert len(left) == 2
        assert local.staging.sweep(idle_too=False) == 0
        assert set(layout.staging.iterdir()) == left
        assert local.staging.sweep() == 2

    def test_loose_files_of_an_earlier_start_are_removed(
        self, layout: Layout, local: Stores
    ) -> None:
        (layout.staging / "probe-0123").write_text("probe")
        assert local.staging.sweep() == 1
        assert list(layout.staging.iterdir()) == []

    def test_this_process_goes_on_after_a_sweep(self, layout: Layout) -> None:
        backend = local_backend(layout.root, unnamed=False)
        keep(backend.stores, b"one")
        assert backend.stores.staging.sweep() == 0
        keep(backend.stores, b"two")
        assert staged_on_disk(layout) == []

    @pytest.mark.parametrize("unnamed", [True, False], ids=["unnamed", "named"])
    def test_a_staging_that_somebody_cleared_is_made_again(
        self, layout: Layout, unnamed: bool
    ) -> None:
        backend = local_backend(layout.root, unnamed=unnamed)
        for number in range(3):
            keep_upload(backend.stores, b"%d" % number, number=number)
            for path in layout.staging.iterdir():
                path.rmdir()
        assert len(list(backend.stores.records.ids())) == 3

    def test_a_forked_process_stages_apart_from_its_parent(self, layout: Layout) -> None:
        backend = local_backend(layout.root, unnamed=False)
        mine = stage(backend.stores.staging, b"mine")
        with waiting_child(lambda: stage(backend.stores.staging, b"the child's")):
            directories = {path.split("/")[0] for path in staged_on_disk(layout)}
            assert len(directories) == 2
        assert backend.stores.staging.sweep() == 1
        with mine.open() as reader:
            assert reader.read() == b"mine"
        mine.discard()


class TestSharing:
    def test_two_processes_keep_one_content_once(self, layout: Layout, local: Stores) -> None:
        tasks = [lambda: [keep_one(layout.root, number) for number in range(30)]] * 4
        answers = in_children(tasks)
        assert [sum(is_new) for is_new in zip(*answers, strict=True)] == [1] * 30
        assert len(kept_blobs(local.blobs)) == 30

    def test_a_process_sees_what_another_published(self, layout: Layout, local: Stores) -> None:
        in_child(lambda: keep_upload(local_backend(layout.root).stores, b"content").id)
        assert [str(one) for one in local.records.ids()] == [str(upload_id())]
        assert local.blobs.is_named(identity(b"content")) is True

    def test_blobs_come_back_after_their_directories_were_removed(
        self, layout: Layout, local: Stores
    ) -> None:
        keep(local, b"content")
        path = layout.blob(identity(b"content"))
        path.unlink()
        path.parent.rmdir()
        path.parent.parent.rmdir()
        keep(local, b"content")
        assert path.read_bytes() == b"content"

    def test_days_come_back_after_they_were_removed(self, layout: Layout, local: Stores) -> None:
        record = keep_upload(local, b"content")
        directory = layout.upload(record.id)
        for path in (*directory.iterdir(),):
            path.unlink()
        for path in (directory, *list(directory.parents)[:3]):
            path.rmdir()
        keep_upload(local, b"content", number=2)
        assert [one.text for one in local.records.ids()] == [upload_id(2).text]

    def test_only_one_process_has_a_duty_at_a_time(self, layout: Layout, local: Stores) -> None:
        with local.only_one("reindex") as mine:
            assert mine is True
            assert in_child(lambda: holds_duty(layout.locks / "reindex")) is False
        assert in_child(lambda: holds_duty(layout.locks / "reindex")) is True


class TestStrangers:
    """What operators and other programs do in the directories."""

    def test_what_is_no_upload_is_passed_over(self, layout: Layout, local: Stores) -> None:
        record = keep_upload(local, b"content")
        day = layout.upload(record.id).parent
        (day / "notes.txt").write_text("by hand")
        (day / "a-directory").mkdir()
        (day.parent / "README").write_text("by hand")
        (layout.archive / "index.html").write_text("by hand")
        (layout.archive / "a" / "b").mkdir(parents=True)
        (layout.archive / "a" / "b" / "c").write_text("by hand")
        assert list(local.records.ids()) == [record.id]

    def test_what_is_no_blob_is_passed_over(self, layout: Layout, local: Stores) -> None:
        keep(local, b"content")
        directory = layout.blob(identity(b"content")).parent
        (directory / "notes.txt").write_text("by hand")
        (directory / ("z" * 64)).write_text("by hand")
        (directory.parent / "README").write_text("by hand")
        assert kept_blobs(local.blobs) == [identity(b"content")]

    def test_an_upload_that_goes_is_not_found(self, layout: Layout, local: Stores) -> None:
        record = keep_upload(local, b"content")
        (layout.upload(record.id) / ".upload.json").unlink()
        with pytest.raises(UploadNotFound):
            local.records.load(record.id)

    def test_an_upload_whose_blob_vanished_is_refused_whole(
        self, layout: Layout, local: Stores
    ) -> None:
        record = record_of(keep(local, b"content"))
        layout.blob(identity(b"content")).unlink()
        with pytest.raises(StorageUnavailable):
            local.records.publish(record)
        assert list(local.records.ids()) == []

    def test_a_store_that_was_removed_is_unavailable(self, layout: Layout, local: Stores) -> None:
        shutil.rmtree(layout.root)
        with pytest.raises(StorageUnavailable):
            local.staging.create()
        layout.staging.mkdir(parents=True)

    @pytest.mark.parametrize("text", [b"", b"{", b"null", b"\xff", b"[]", b"[" * 100_000])
    def test_a_damaged_record_is_told_as_such(
        self, layout: Layout, local: Stores, text: bytes
    ) -> None:
        record = keep_upload(local, b"content")
        path = layout.upload(record.id) / ".upload.json"
        path.chmod(0o600)
        path.write_bytes(text)
        with pytest.raises(ValueError, match=r"."):
            local.records.load(record.id)

    def test_a_blob_that_was_cut_short_is_set_aside_when_its_content_comes_again(
        self, layout: Layout, local: Stores
    ) -> None:
        keep(local, b"content")
        path = layout.blob(identity(b"content"))
        path.chmod(0o600)
        path.write_bytes(b"cont")
        assert keep_staged(local, b"content") is True
        assert path.read_bytes() == b"content"
        assert (layout.quarantine / path.name).read_bytes() == b"cont"


def test_threads_keep_and_publish_at_the_same_time(layout: Layout, local: Stores) -> None:
    def work(thread: int) -> None:
        for number in range(10):
            keep_upload(local, b"%d" % number, number=100 * thread + number)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(local.records.ids())) == 80
    assert len(kept_blobs(local.blobs)) == 10


def test_an_upload_s_file_is_a_name_of_the_blob_itself(layout: Layout, local: Stores) -> None:
    record = record_of(keep(local, b"content"))
    local.records.publish(record)
    named = layout.upload(record.id) / "results.xml"
    assert named.samefile(layout.blob(identity(b"content")))
    assert named.stat().st_nlink == 2


def keep_one(root: Path, number: int) -> bool:
    content = b"%d" % number
    return keep_staged(local_backend(root).stores, content)


def holds_duty(lock: Path) -> bool:
    with only_one(lock) as mine:
        return mine
