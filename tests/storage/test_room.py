"""Room is set aside before bytes come, a floor stays free, and a quota counts contents once."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from httpbucket.domain.errors import IndexNotReady, StorageFull
from httpbucket.storage.local import room as room_module
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.opening import open_store
from httpbucket.storage.local.room import Remembered, Room, Share
from httpbucket.storage.local.staged_file import LocalStagedFile
from httpbucket.storage.local.staging import LocalStaging
from tests.examples import identity

MIB = 1024**2


class Free:
    """What the file system says is free; no disk is needed to be full."""

    def __init__(self) -> None:
        self.bytes = 100 * MIB
        self.inodes: int | None = 5000

    def __call__(self, path: Path) -> tuple[int, int | None]:
        return self.bytes, self.inodes


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Free:
    free = Free()
    monkeypatch.setattr(room_module, "_free", free)
    return free


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "store")
    open_store(layout, Disk())
    return layout


class NeverAllocates(Disk):
    """A file system without ``fallocate``."""

    def allocate(self, descriptor: int, size: int) -> bool:
        return False


class TestFloor:
    def test_what_would_leave_less_is_refused(self, free: Free) -> None:
        share = Share(Room(Path("/"), min_free_bytes=90 * MIB))
        share.expect(10 * MIB)
        with pytest.raises(StorageFull, match="MIN_FREE_BYTES"):
            share.expect(1)

    def test_what_was_let_go_of_is_free_again(self, free: Free) -> None:
        room = Room(Path("/"), min_free_bytes=90 * MIB)
        share = Share(room)
        share.expect(10 * MIB)
        share.release()
        share.release()
        Share(room).expect(10 * MIB)

    def test_what_is_written_is_counted_by_the_file_system_alone(self, free: Free) -> None:
        room = Room(Path("/"), min_free_bytes=90 * MIB)
        share = Share(room)
        share.expect(10 * MIB)
        for _ in range(10):
            share.take(MIB)
            free.bytes -= MIB
        room.require(0)
        with pytest.raises(StorageFull):
            room.require(1)

    def test_bytes_without_a_length_are_refused_on_the_way(self, free: Free) -> None:
        share = Share(Room(Path("/"), min_free_bytes=90 * MIB))
        taken = 0
        with pytest.raises(StorageFull):
            while True:
                share.take(64 * 1024)
                free.bytes -= 64 * 1024
                taken += 64 * 1024
        assert 9 * MIB <= taken <= 10 * MIB

    def test_a_floor_of_inodes(self, free: Free) -> None:
        room = Room(Path("/"), min_free_inodes=5000)
        room.require()
        free.inodes = 4999
        with pytest.raises(StorageFull, match="MIN_FREE_INODES"):
            room.require()

    def test_a_file_system_without_inodes_is_never_short_of_them(self, free: Free) -> None:
        free.inodes = None
        Room(Path("/"), min_free_inodes=5000).require()

    def test_no_inodes_at_all_means_that_they_are_not_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As btrfs answers."""
        answer = os.statvfs_result((4096, 4096, 100, 50, 40, 0, 0, 0, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda path: answer)
        Room(Path("/"), min_free_bytes=40 * 4096, min_free_inodes=1).require()
        with pytest.raises(StorageFull):
            Room(Path("/"), min_free_bytes=40 * 4096 + 1).require()


class TestSettingAside:
    def test_the_file_system_is_asked_by_one_process_at_a_time(self, free: Free) -> None:
        steps: list[str] = []

        @contextmanager
        def alone() -> Iterator[None]:
            steps.append("alone")
            yield
            steps.append("no more")

        def allocate(size: int) -> bool:
            steps.append("allocate")
            return True

        room = Room(Path("/"), alone=alone)
        room.set_aside(MIB, allocate)
        assert steps == ["alone", "allocate", "no more"]
        # What is only counted takes no lock.
        room.set_aside(MIB - 1, allocate)
        assert len(steps) == 3


class TestQuota:
    def test_it_counts_what_is_kept_and_what_is_coming(self, free: Free) -> None:
        room = Room(Path("/"), max_store_bytes=100, used_bytes=lambda: 60)
        first = Share(room)
        first.expect(30)
        with pytest.raises(StorageFull, match="MAX_STORE_BYTES"):
            Share(room).expect(11)
        first.release()
        Share(room).expect(40)

    def test_what_cannot_be_counted_is_not_limited(self, free: Free) -> None:
        Share(Room(Path("/"), max_store_bytes=1, used_bytes=lambda: None)).expect(MIB)

    def test_a_count_is_remembered_and_may_fail(self) -> None:
        counts: Iterator[int] = iter([1, 2])
        remembered = Remembered(lambda: next(counts))
        assert [remembered.value(), remembered.value()] == [1, 1]

        def fail() -> int:
            raise IndexNotReady("not now")

        assert Remembered(fail).value() is None


class TestStagedFiles:
    def test_room_for_a_known_length_is_taken_from_the_disk_at_once(self, place: Layout) -> None:
        staging = LocalStaging(place, Disk(), room=Room(place.root))
        staged = staging.create_local(size=8 * MIB)
        assert staged.size == 0
        assert allocated(staged) >= 8 * MIB
        staged.discard()

    def test_what_was_set_aside_too_much_is_given_back(self, place: Layout) -> None:
        staging = LocalStaging(place, Disk(), room=Room(place.root))
        staged = staging.create_local(size=8 * MIB)
        staged.write(b"x" * 5000)
        staged.seal()
        assert allocated(staged) <= 16 * 1024
        with staged.open() as reader:
            assert identity(reader.read()) == identity(b"x" * 5000)
        staged.discard()

    @pytest.mark.parametrize("disk", [Disk(), NeverAllocates()], ids=["allocates", "counts"])
    def test_two_lengths_that_do_not_fit_together_are_not_both_taken(
        self, place: Layout, disk: Disk
    ) -> None:
        status = os.statvfs(place.root)
        all_free = status.f_bavail * status.f_frsize
        room = Room(place.root, min_free_bytes=max(all_free - 400 * MIB, 0))
        staging = LocalStaging(place, disk, room=room)
        first = staging.create(size=300 * MIB)
        with pytest.raises(StorageFull):
            staging.create(size=300 * MIB)
        first.discard()
        staging.create(size=300 * MIB).discard()

    def test_a_refused_file_leaves_nothing(self, place: Layout, free: Free) -> None:
        for unnamed in (True, False):
            staging = LocalStaging(
                place, Disk(), unnamed=unnamed, room=Room(place.root, min_free_bytes=99 * MIB)
            )
            with pytest.raises(StorageFull):
                staging.create(size=2 * MIB)
        assert [*place.staging.glob("*/*")] == []

    def test_a_disk_that_is_full_says_so_before_the_first_byte(self, place: Layout) -> None:
        class Full(Disk):
            def allocate(self, descriptor: int, size: int) -> bool:
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

        with pytest.raises(StorageFull):
            LocalStaging(place, Full()).create(size=2 * MIB)

    def test_a_failed_write_lets_go_of_what_was_set_aside(self, place: Layout, free: Free) -> None:
        class Failing(NeverAllocates):
            def write(self, descriptor: int, piece: bytes | bytearray | memoryview) -> None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        room = Room(place.root, min_free_bytes=90 * MIB)
        staged = LocalStaging(place, Failing(), room=room).create(size=9 * MIB)
        with pytest.raises(StorageFull):
            staged.write(b"x" * 1000)
        staged.discard()
        free.bytes = 100 * MIB
        room.require(10 * MIB)


def allocated(staged: LocalStagedFile) -> int:
    """The bytes that a staged file takes on its disk."""
    with staged.open() as reader:
        return os.fstat(reader.fileno()).st_blocks * 512
