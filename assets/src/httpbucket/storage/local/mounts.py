"""What kind of file system something lies on, as the kernel's list of mounts says."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")

#: File systems that other machines may write to as well. Shared memory does not work between
#: those, and on some of them not at all; SQLite's write-ahead log needs it
#: (https://www.sqlite.org/wal.html).
_NETWORK = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "afs", "lustre", "gpfs", "beegfs"),
    *("glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "ocfs2", "gfs2"),
}


def network_file_system(path: Path, *, mounts: str | None = None) -> str:
    """The type of the network file system that ``path`` lies on; "" where it is none.

    ``mounts`` is the text of ``/proc/self/mountinfo``, which is read unless given.
    """
    kind = ""
    with suppress(OSError):
        mounts = _MOUNTS.read_text(errors="replace") if mounts is None else mounts
        kind = _type_of_device(_device(path), mounts)
    return kind if kind in _NETWORK else ""


def _device(path: Path) -> str:
    """The device of the path, or of what is there of it, as mountinfo writes it."""
    existing = next(one for one in (path, *path.parents) if one.exists())
    number = existing.stat().st_dev
    return f"{os.major(number)}:{os.minor(number)}"


def _type_of_device(device: str, mounts: str) -> str:
    """See proc(5): the device is the third field, the type the first one behind the dash."""
    for line in mounts.splitlines():
        before, _, behind = line.partition(" - ")
        if before.split()[2:3] == [device]:
            return behind.split()[0]
    return ""
