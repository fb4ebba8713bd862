"""Which file systems are a network's, by the kernel's own list."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from httpbucket.storage.local.mounts import network_file_system


def mounts(path: Path, kind: str) -> str:
    """A list of mounts (proc(5), mountinfo) in which ``path`` lies on ``kind``."""
    device = path.stat().st_dev
    return (
        "22 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n"
        f"36 35 {os.major(device)}:{os.minor(device)} / /srv rw,noatime master:1 - {kind} host:/srv"
        " rw,vers=4.2\n"
    )


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "fuse.sshfs", "9p"])
def test_a_network_file_system_is_named(tmp_path: Path, kind: str) -> None:
    assert network_file_system(tmp_path, mounts=mounts(tmp_path, kind)) == kind


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "fuse"])
def test_a_local_file_system_is_not(tmp_path: Path, kind: str) -> None:
    assert network_file_system(tmp_path, mounts=mounts(tmp_path, kind)) == ""


def test_what_does_not_exist_yet_lies_where_its_parent_does(tmp_path: Path) -> None:
    assert network_file_system(tmp_path / "a" / "b", mounts=mounts(tmp_path, "nfs4")) == "nfs4"


@pytest.mark.parametrize("text", ["", "garbage\n", "1 2\n - nfs\n"])
def test_a_list_that_says_nothing_is_no_reason_to_worry(tmp_path: Path, text: str) -> None:
    assert network_file_system(tmp_path, mounts=text) == ""


def test_this_machine_has_a_list_that_can_be_read(tmp_path: Path) -> None:
    assert network_file_system(tmp_path) in {"", "nfs", "nfs4", "9p"}
