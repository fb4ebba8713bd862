"""The contract of `Capacity`, and what the local backend asks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from httpbucket.domain.errors import StorageUnavailable
from httpbucket.storage.base import Space
from httpbucket.storage.local.capacity import LocalCapacity
from httpbucket.wiring import Stores


def test_what_is_free_is_a_part_of_the_whole_or_nobody_can_tell(stores: Stores) -> None:
    space = stores.capacity.space()
    if space is None:
        return
    assert 0 <= space.free <= space.total
    if space.total_names is not None and space.free_names is not None:
        assert 0 <= space.free_names <= space.total_names


def test_the_local_backend_asks_the_file_system_of_the_store(local: Stores, root: Path) -> None:
    space = local.capacity.space()
    assert space is not None
    assert space.total == shutil.disk_usage(root).total


@pytest.mark.parametrize(("files", "expected"), [(0, (None, None)), (100, (100, 40))])
def test_names_are_told_where_they_are_counted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: int,
    expected: tuple[int | None, int | None],
) -> None:
    # Order: bsize, frsize, blocks, bfree, bavail, files, ffree, favail, flag, namemax.
    free_files = min(files, 40)
    told = os.statvfs_result((4096, 512, 1000, 300, 200, files, 50, free_files, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: told)
    assert LocalCapacity(tmp_path).space() == Space(512_000, 102_400, *expected)


def test_a_store_that_is_gone_is_told_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable) as raised:
        LocalCapacity(tmp_path / "gone").space()
    assert str(tmp_path) not in str(raised.value)
