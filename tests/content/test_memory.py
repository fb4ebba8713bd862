"""What unpacking takes of memory, measured in a process of its own."""

from __future__ import annotations

import lzma
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.builders import pax, tar, tar_member, zstd_with_window

MEBIBYTE = 2**20

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")

#: What one unpacking may take (promise 8 of the design).
ALLOWED = 80 * MEBIBYTE

MEASURE = """
import re, sys
from httpbucket.content.archive import read_archive
from httpbucket.content.decompress import decompress
from httpbucket.content.findings import Findings
from httpbucket.content.kind import ArchiveKind, Compression
from httpbucket.content.limits import Budget, UnpackLimits
from httpbucket.content.members import MemberKind
from httpbucket.content.tree_plan import TreePlan
from httpbucket.domain.unpacking import UnsupportedArchive

def peak():
    # ru_maxrss would count what the parent had before exec.
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1]) * 1024

before, findings = peak(), Findings()
budget = Budget(UnpackLimits(), source_size=2**20)
with open(sys.argv[1], "rb") as stream:
    if sys.argv[2] in ("tar", "zip"):
        plan = TreePlan(findings)
        members = read_archive(stream, ArchiveKind(sys.argv[2]), budget=budget, findings=findings)
        try:
            for member, content in members:
                if member.kind is MemberKind.FILE:
                    plan.add_file(member, sum(map(len, content)))
                else:
                    plan.add(member)
            for entry in plan.entries():
                pass
        except UnsupportedArchive:
            pass
    else:
        for piece in decompress(stream, Compression(sys.argv[2]), budget=budget, findings=findings):
            pass
print(peak() - before)
"""


def growth(path: Path, kind: str) -> int:
    """Bytes by which a process grows at most while it reads the file."""
    command = [sys.executable, "-c", MEASURE, str(path), kind]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "assets/src")}
    return int(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)


def xz_with_the_largest_window(content: bytes) -> bytes:
    chain = [
        {
            "id": lzma.FILTER_LZMA2,
            "preset": 0,
            "dict_size": 64 * MEBIBYTE,
            "mode": lzma.MODE_FAST,
        }
    ]
    return lzma.compress(content, filters=chain)


@pytest.mark.parametrize("kind", ["xz", "zstd"])
def test_the_largest_windows_stay_within_the_promise(kind: str, tmp_path: Path) -> None:
    content = bytes(150 * MEBIBYTE)
    packed = xz_with_the_largest_window(content) if kind == "xz" else zstd_with_window(content, 26)
    (tmp_path / "packed").write_bytes(packed)
    taken = growth(tmp_path / "packed", kind)
    assert 60 * MEBIBYTE < taken < ALLOWED


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_hundred_thousand_members_stay_within_the_promise(kind: str, tmp_path: Path) -> None:
    names = [f"Build/reports/coverage/{n // 100:04}/File-{n:06}.html" for n in range(100_000)]
    if kind == "tar":
        with (tmp_path / "many").open("wb") as written:
            written.writelines(tar_member(name, b"x") for name in names)
            written.write(tar())
    else:
        with zipfile.ZipFile(tmp_path / "many", "w") as zip_archive:
            for name in names:
                zip_archive.writestr(zipfile.ZipInfo(name), b"x")
    taken = growth(tmp_path / "many", kind)
    assert taken < ALLOWED - 20 * MEBIBYTE


def long_names() -> Iterator[bytes]:
    for number in range(100_000):
        # One such letter makes Python take four bytes for every letter of the path.
        path = f"{number:06}/" + "UPPER/" * 40 + "n" * 80 + "\U0001f600"
        yield pax({"path": path}) + tar_member("x")


def many_directories() -> Iterator[bytes]:
    for number in range(20_000):
        yield pax({"path": f"{number}/" + "directory/" * 62 + "x"}) + tar_member("x")


def long_links() -> Iterator[bytes]:
    for number in range(300):
        yield pax({"linkpath": "a" * 900_000}) + tar_member(f"{number}", kind=b"2")


@pytest.mark.parametrize("members", [long_names, many_directories, long_links])
def test_names_and_links_stay_within_the_promise(
    members: Callable[[], Iterator[bytes]], tmp_path: Path
) -> None:
    with (tmp_path / "hostile.tar").open("wb") as stream:
        stream.writelines(members())
        stream.write(tar())
    assert growth(tmp_path / "hostile.tar", "tar") < ALLOWED
