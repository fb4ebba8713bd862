"""What the kernel tells of processes and of the machine."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def processes_of(group: int) -> list[int]:
    """The ids of the living processes of a process group."""
    return [int(stat.parent.name) for stat, fields in _stats() if int(fields[2]) == group]


def cpu_seconds_of(group: int) -> float:
    """The processor time that the processes of a group, and children that ended, have taken."""
    return sum(
        sum(map(int, fields[11:15])) / _TICKS for _, fields in _stats() if int(fields[2]) == group
    )


def resident_bytes_of(pid: int) -> int:
    """What a process holds in memory now; 0 when it is gone."""
    return _status_bytes(pid, "VmRSS")


def peak_bytes_of(pid: int) -> int:
    """The most it held since it started, or since `forget_peak`."""
    return _status_bytes(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Let the peak begin at the present size."""
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def description() -> dict[str, str]:
    """What the figures depend on."""
    return {
        "processors": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": platform.release().partition("-")[0],
        "Python": platform.python_version(),
    }


def file_system_of(path: Path) -> str:
    """The type of the file system that a path lies on."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    around = {str(parent) for parent in (path.resolve(), *path.resolve().parents)}
    return max((mount for mount in mounts if mount[0] in around), key=lambda one: len(one[0]))[1]


def pinned(command: list[str], *, client: bool) -> list[str]:
    """The command, kept to the last processor (a client) or to the others (a server).

    With fewer than four it stays as it is: two workers on one processor would measure something
    that nobody runs.
    """
    count = os.cpu_count() or 1
    if count < 4:
        return command
    where = str(count - 1) if client else f"0-{count - 2}"
    return ["taskset", "-c", where, *command]


def _stats() -> list[tuple[Path, list[str]]]:
    """The fields behind the command's name: state, parent, group, …"""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The command's name, in brackets, may hold anything.
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                found.append((stat, fields))
    return found


def _status_bytes(pid: int, name: str) -> int:
    with suppress(OSError):
        found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0
