"""Files written past the page cache hold what files written through it hold."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from httpbucket.config import Settings
from httpbucket.content.spare_memory import PIECE_BYTES as SPARE_BYTES
from httpbucket.content.spare_memory import SpareMemory
from httpbucket.domain.errors import StorageFull, StorageUnavailable
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.opening import open_store
from httpbucket.storage.local.past_cache import LARGE_BYTES, PIECE_BYTES, PIECES, PastCache
from httpbucket.storage.local.staged_file import LocalStagedFile
from httpbucket.storage.local.staging import LocalStaging
from httpbucket.wiring import open_local
from tests.faults import FaultyDisk

MIB = 1024**2
SIZES = (0, 1, 4095, 4096, 4097, MIB - 1, MIB, MIB + 1, 2 * PIECES * MIB + 4097)


class WatchedDisk(Disk):
    """Remembers which files were to be written past the cache, and how many at a time."""

    def __init__(self) -> None:
        super().__init__(fsync=False)
        self.direct: set[int] = set()
        self.begun = 0

    def go_direct(self, descriptor: int) -> bool:
        self.begun += 1
        self.direct.add(descriptor)
        return super().go_direct(descriptor)

    def go_through_cache(self, descriptor: int) -> None:
        self.direct.discard(descriptor)
        super().go_through_cache(descriptor)


class OffersNothing(Disk):
    """As tmpfs was before Linux 6.6."""

    def go_direct(self, descriptor: int) -> bool:
        return False


class RefusesWrites(Disk):
    """A file system that takes the flag, and so many writes after it."""

    def __init__(self, *, after: int) -> None:
        super().__init__(fsync=False)
        self._left = after
        self._direct: set[int] = set()

    def go_direct(self, descriptor: int) -> bool:
        self._direct.add(descriptor)
        return True

    def go_through_cache(self, descriptor: int) -> None:
        self._direct.discard(descriptor)

    def write(self, descriptor: int, piece: bytes | bytearray | memoryview) -> None:
        if descriptor in self._direct and piece:
            self._left -= 1
            if self._left < 0:
                # Some of it may have been written.
                super().write(descriptor, memoryview(piece)[: len(piece) // 2])
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        super().write(descriptor, piece)


DISKS: dict[str, Callable[[], Disk]] = {
    "offered": WatchedDisk,
    "not offered": OffersNothing,
    "refused at once": lambda: RefusesWrites(after=0),
    "refused later": lambda: RefusesWrites(after=3),
}


def staging_on(root: Path, disk: Disk, *, files: int = 1, large: int = 0) -> LocalStaging:
    layout = Layout(root)
    open_store(layout, Disk())
    return LocalStaging(layout, disk, past_cache=PastCache(disk, files=files), large=large)


def write(staged: LocalStagedFile, content: bytes, *, step: int = 300_000) -> None:
    for start in range(0, len(content), step):
        staged.write(content[start : start + step])


def read(staged: LocalStagedFile) -> bytes:
    with staged.open() as reader:
        return reader.read()


@pytest.mark.parametrize("disk", DISKS)
@pytest.mark.parametrize("size", SIZES)
def test_every_byte_is_there_whatever_the_file_system_offers(
    tmp_path: Path, size: int, disk: str
) -> None:
    staged = staging_on(tmp_path, DISKS[disk]()).create_local(size=size)
    content = random.Random(size).randbytes(size)
    write(staged, content)
    assert (staged.size, read(staged) == content) == (size, True)
    staged.seal()
    assert read(staged) == content
    staged.discard()


def test_without_room_for_a_thread_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    staged = staging_on(tmp_path, WatchedDisk()).create_local()
    content = random.Random(1).randbytes(9 * MIB + 5)
    write(staged, content)
    assert read(staged) == content
    staged.discard()


def test_what_grows_large_unannounced_goes_through_the_cache(tmp_path: Path) -> None:
    disk = WatchedDisk()
    staged = staging_on(tmp_path, disk, large=MIB).create_local()
    content = random.Random(1).randbytes(5 * MIB)
    write(staged, content, step=70_001)
    assert disk.begun == 0
    assert read(staged) == content
    staged.discard()


def test_what_is_announced_as_large_goes_past_the_cache_from_its_first_byte_on(
    tmp_path: Path,
) -> None:
    disk = WatchedDisk()
    staging = staging_on(tmp_path, disk, large=8 * MIB)
    large, small = staging.create_local(size=8 * MIB), staging.create_local(size=8 * MIB - 1)
    small.write(b"first bytes")
    assert disk.begun == 0
    large.write(b"first bytes")
    assert disk.begun == 1
    small.discard()
    large.discard()


def test_writing_goes_on_after_a_reader_was_opened(tmp_path: Path) -> None:
    staged = staging_on(tmp_path, WatchedDisk()).create_local()
    content = random.Random(1).randbytes(5 * MIB)
    write(staged, content[:3_000_001])
    assert read(staged) == content[:3_000_001]
    write(staged, content[3_000_001:])
    assert read(staged) == content
    staged.discard()


def test_only_so_many_files_at_a_time_take_memory(tmp_path: Path) -> None:
    disk = WatchedDisk()
    staging = staging_on(tmp_path, disk, files=2)
    content = random.Random(1).randbytes(3 * MIB)
    every = [staging.create_local() for _ in range(4)]
    for staged in every:
        write(staged, content)
    assert (disk.begun, len(disk.direct)) == (2, 2)
    assert [read(staged) == content for staged in every] == [True] * 4
    every[0].discard()
    another = staging.create_local()
    write(another, content)
    assert disk.begun == 3
    for staged in (another, *every):
        staged.discard()


@pytest.mark.parametrize(
    ("error", "refusal"), [(errno.ENOSPC, StorageFull), (errno.EIO, StorageUnavailable)]
)
def test_what_fails_in_the_thread_is_told_and_the_next_file_has_its_place(
    tmp_path: Path, error: int, refusal: type[Exception]
) -> None:
    disk = FaultyDisk()
    staging = staging_on(tmp_path, disk)
    content = random.Random(1).randbytes(20 * MIB)
    for failing in (0, 1, 7):
        disk.arm(failing, error)
        staged = staging.create_local()
        with pytest.raises(refusal):
            write(staged, content)
        staged.discard()
    disk.disarm()
    staged = staging.create_local()
    write(staged, content)
    assert read(staged) == content
    staged.discard()


def test_what_fails_at_the_end_is_told_by_who_asks_for_the_bytes(tmp_path: Path) -> None:
    disk = FaultyDisk()
    staging = staging_on(tmp_path, disk)
    for size in (PIECE_BYTES // 2, PIECE_BYTES, 2 * PIECE_BYTES + 1):
        staged = staging.create_local()
        write(staged, bytes(size - 1), step=size)
        disk.fail_from_now_on(errno.ENOSPC)
        staged.write(b"1")
        with pytest.raises(StorageFull):
            staged.open()
        staged.discard()
        disk.disarm()


def test_what_is_discarded_in_the_middle_leaves_no_thread_and_no_descriptor(
    tmp_path: Path,
) -> None:
    staging = staging_on(tmp_path, WatchedDisk())
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    staged = staging.create_local()
    write(staged, bytes(3 * MIB))
    staged.discard()
    staged.discard()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert [thread for thread in threading.enumerate() if thread.name == "writing"] == []


@pytest.mark.parametrize("disk", DISKS)
def test_spare_memory_is_written_from_where_it_lies_and_given_back(
    tmp_path: Path, disk: str
) -> None:
    memory, written = SpareMemory(pieces=2), []
    staged = staging_on(tmp_path, DISKS[disk]()).create_local()
    for number in range(12):
        piece = memory.take()
        content = random.Random(number).randbytes(SPARE_BYTES if number % 5 < 4 else 70_001)
        written.append(content)
        if piece is None:
            staged.write(content)
            continue
        piece[: len(content)] = content
        staged.write(piece[: len(content)].toreadonly())
        del piece
    assert read(staged) == b"".join(written)
    spare = [memory.take(), memory.take()]
    assert [piece is None for piece in spare] == [False, False]
    staged.discard()


def test_memory_that_no_disk_can_take_is_written_through_the_cache(tmp_path: Path) -> None:
    disk = WatchedDisk()
    staged = staging_on(tmp_path, disk).create_local()
    piece = SpareMemory(pieces=1).take()
    assert piece is not None
    content = random.Random(1).randbytes(SPARE_BYTES)
    piece[:] = content
    staged.write(piece[1 : 1 + 5 * 4096].toreadonly())
    staged.write(content)
    assert read(staged) == content[1 : 1 + 5 * 4096] + content
    staged.discard()


@pytest.mark.parametrize(("switch", "begun"), [("on", 1), ("off", 0)])
def test_a_setting_switches_it_off(tmp_path: Path, switch: str, begun: int) -> None:
    disk = WatchedDisk()
    settings = Settings.from_environ({"ARCHIVE_DIR": str(tmp_path), "FAST_WRITES": switch})
    stores = open_local(settings, disk=disk)
    staged = stores.staging.create(size=LARGE_BYTES)
    staged.write(b"first bytes")
    assert disk.begun == begun
    staged.discard()
    stores.index.close()
