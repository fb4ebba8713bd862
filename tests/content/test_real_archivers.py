"""What real programs pack comes out as they themselves unpack it, file by file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from httpbucket.content.archive import read_archive
from httpbucket.content.findings import Findings
from httpbucket.content.kind import ArchiveKind, Compression, recognise
from httpbucket.content.limits import Budget, UnpackLimits
from httpbucket.content.media_type import MediaTypes
from httpbucket.domain.unpacking import EncryptedArchive
from tests.tools import require_tool
from tests.unpacking import Unpacked, decompressed, unpacked

PACKAGES = {"7z": "p7zip-full", "bsdtar": "libarchive-tools", "xz": "xz-utils"}


def run(command: Sequence[str], cwd: Path) -> None:
    """Run a program in a UTF-8 locale, and fail when it fails."""
    tool = require_tool(command[0], package=PACKAGES.get(command[0]))
    environment = os.environ | {"LC_ALL": "C.UTF-8", "TZ": "UTC"}
    finished = subprocess.run(
        [tool, *command[1:]], cwd=cwd, env=environment, capture_output=True, check=False
    )
    assert finished.returncode == 0, (finished.stdout + finished.stderr).decode(errors="replace")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what makes archives differ: names, sizes, modes, links, holes."""
    top = tmp_path_factory.mktemp("source")
    tree = top / "report"
    long = "/".join(["directory-with-a-long-name"] * 9)
    for name, content in {
        "index.html": b"<html>" * 1000,
        "empty": b"",
        "ünïcödé/日本語 .txt": "größe".encode(),
        "with space/and 'quotes'": b"x",
        ".hidden/.profile": b"dot",
        "large": bytes(range(256)) * 10_000,
        "n" * 120: b"long part",
        f"{long}/{'f' * 80}": b"deep",
        "exactly-512": b"5" * 512,
    }.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1_700_000_000, 1_700_000_002))
    (tree / "run.sh").write_bytes(b"#!/bin/sh\n")
    (tree / "run.sh").chmod(0o755)
    (tree / "void/nothing").mkdir(parents=True)
    with (tree / "sparse").open("wb") as sparse:
        for offset in range(0, 4_000_000, 400_000):
            sparse.seek(offset)
            sparse.write(b"data" * 2000)
        sparse.truncate(5_000_000)
    os.link(tree / "index.html", tree / "second-name")
    (tree / "link").symlink_to("with space/and 'quotes'")
    return top


def on_disk(top: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()
    }


def on_disk_size(top: Path) -> int:
    return sum(map(len, on_disk(top).values()))


def executables(top: Path) -> set[str]:
    files = (path for path in top.rglob("*") if path.is_file())
    return {str(path.relative_to(top)) for path in files if path.stat().st_mode & 0o100}


def empty_directories(top: Path) -> set[str]:
    directories = (path for path in top.rglob("*") if path.is_dir())
    return {str(path.relative_to(top)) for path in directories if not any(path.iterdir())}


def read(path: Path, kind: ArchiveKind) -> Unpacked:
    with path.open("rb") as stream:
        return unpacked(stream, kind)


TAR_WRITERS = [
    *(["tar", f"--format={name}", "-cf", "a", "report"] for name in ("gnu", "oldgnu", "posix")),
    ["tar", "--format=posix", "--pax-option=exthdr.name=%d/%f", "-Scf", "a", "report"],
    *(
        ["tar", "--format=posix", f"--sparse-version={version}", "-Scf", "a", "report"]
        for version in ("0.0", "0.1", "1.0")
    ),
    ["tar", "--format=gnu", "-Scf", "a", "report"],
    ["tar", "-cf", "a", "--hard-dereference", "-h", "./report"],
    ["tar", "-cf", "a", "-V", "A label", "-b", "1", "report"],
    ["tar", "--format=gnu", "-cf", "a", "--listed-incremental=../snapshot", "report"],
    *(["bsdtar", "--format", name, "-cf", "a", "report"] for name in ("pax", "gnutar")),
    ["bsdtar", "--format", "pax", "--xattrs", "--acls", "-cf", "a", "./report"],
    ["7z", "a", "-ttar", "-snl", "-snh", "a.tar", "report"],
    [sys.executable, "-m", "tarfile", "-c", "a.tar", "report"],
]


@pytest.mark.parametrize("command", TAR_WRITERS, ids=lambda command: " ".join(command[:6])[-60:])
def test_a_tar_comes_out_as_gnu_tar_unpacks_it(
    command: Sequence[str], source: Path, tmp_path: Path
) -> None:
    run(["cp", "-a", str(source), "in"], tmp_path)
    run(command, tmp_path / "in")
    archive = tmp_path / "in" / ("a.tar" if "a.tar" in command else "a")
    (tmp_path / "out").mkdir()
    run(["tar", "-xf", str(archive)], tmp_path / "out")
    found = read(archive, ArchiveKind.TAR)
    assert found.files == on_disk(tmp_path / "out")
    assert found.executable == executables(tmp_path / "out")
    assert found.empty_directories == empty_directories(tmp_path / "out")
    assert found.problems == []
    assert found.mtimes["report/empty"] == 1_700_000_002.0
    has_holes = any(argument.startswith("-Sc") for argument in command)
    assert not has_holes or archive.stat().st_size < on_disk_size(source) - 4_000_000


@pytest.mark.parametrize("format", ["v7", "ustar"])
def test_old_tars_come_out_as_gnu_tar_unpacks_them(format: str, tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").write_bytes(b"x" * 600)
    (tmp_path / "a/ö").write_bytes(b"y")
    run(["tar", f"--format={format}", "-cf", "old", "a"], tmp_path)
    head = (tmp_path / "old").read_bytes()[:4096]
    assert recognise(MediaTypes().of(head), head) is ArchiveKind.TAR
    assert read(tmp_path / "old", ArchiveKind.TAR).files == {"a/b/c": b"x" * 600, "a/ö": b"y"}


ZIP_WRITERS = [
    ["zip", "-r", "a.zip", "report"],
    ["zip", "-ry", "a.zip", "report"],
    ["zip", "-r", "-0", "a.zip", "report"],
    ["zip", "-r", "-Z", "bzip2", "a.zip", "report"],
    ["zip", "-r", "-fz", "a.zip", "report"],
    ["zip", "-rX", "a.zip", "report"],
    ["7z", "a", "-tzip", "a.zip", "report"],
    ["7z", "a", "-tzip", "-mm=LZMA", "a.zip", "report"],
    ["7z", "a", "-tzip", "-mm=BZip2", "a.zip", "report"],
    ["bsdtar", "--format", "zip", "-cf", "a.zip", "report"],
    [sys.executable, "-m", "zipfile", "-c", "a.zip", "report"],
]


@pytest.mark.parametrize("command", ZIP_WRITERS, ids=lambda command: " ".join(command)[-60:])
def test_a_zip_comes_out_as_its_own_kind_unpacks_it(
    command: Sequence[str], source: Path, tmp_path: Path
) -> None:
    run(["cp", "-a", str(source), "in"], tmp_path)
    run(command, tmp_path / "in")
    (tmp_path / "out").mkdir()
    # Info-ZIP's unzip knows no LZMA; 7z does.
    lzma = "-mm=LZMA" in command
    unzip = ["7z", "x", "-y", "../in/a.zip"] if lzma else ["unzip", "-q", "../in/a.zip"]
    run(unzip, tmp_path / "out")
    found = read(tmp_path / "in/a.zip", ArchiveKind.ZIP)
    assert found.files == on_disk(tmp_path / "out")
    assert found.executable == executables(tmp_path / "out")
    assert found.empty_directories == empty_directories(tmp_path / "out")
    assert found.problems == []


def test_a_zip_from_a_pipe_comes_out_whole(source: Path, tmp_path: Path) -> None:
    shell = f"cd '{source}' && zip -qr - report | cat > '{tmp_path}/a.zip'"
    require_tool("zip")
    run(["sh", "-c", shell], tmp_path)
    assert read(tmp_path / "a.zip", ArchiveKind.ZIP).files == on_disk(source)


@pytest.mark.parametrize(
    "command",
    [
        ["zip", "-q", "-P", "secret", "a.zip", "file"],
        ["7z", "a", "-tzip", "-psecret", "a.zip", "file"],
        ["7z", "a", "-tzip", "-psecret", "-mem=AES256", "a.zip", "file"],
    ],
)
def test_a_zip_with_a_password_is_refused(command: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"secret" * 100)
    run(command, tmp_path)
    with pytest.raises(EncryptedArchive):
        read(tmp_path / "a.zip", ArchiveKind.ZIP)


COMPRESSORS = [
    *(("gzip", Compression.GZIP, [level]) for level in ("-1", "-9")),
    ("bzip2", Compression.BZIP2, []),
    *(("xz", Compression.XZ, list(flags)) for flags in (["-9e"], ["-C", "sha256"], ["-T2"])),
    *(("zstd", Compression.ZSTD, [flag]) for flag in ("-1", "-19", "--no-check", "--long=26")),
]


@pytest.mark.parametrize(("tool", "compression", "flags"), COMPRESSORS)
def test_what_a_compressor_writes_is_known_and_undone(
    tool: str, compression: Compression, flags: list[str], source: Path, tmp_path: Path
) -> None:
    content = (source / "report/large").read_bytes()
    (tmp_path / "x").write_bytes(content)
    require_tool(tool, package=PACKAGES.get(tool))
    run(["sh", "-c", f"{tool} -c {' '.join(flags)} x > packed"], tmp_path)
    packed = (tmp_path / "packed").read_bytes()
    assert recognise(MediaTypes().of(packed[:4096]), packed[:4096]) is compression
    assert decompressed(packed, compression) == (content, [])


def test_times_agree_to_the_second_in_tar_and_zip(source: Path, tmp_path: Path) -> None:
    run(["tar", "-cf", str(tmp_path / "a.tar"), "report"], source)
    run(["zip", "-qr", str(tmp_path / "a.zip"), "report"], source)
    times = [
        read(tmp_path / "a.tar", ArchiveKind.TAR).mtimes,
        read(tmp_path / "a.zip", ArchiveKind.ZIP).mtimes,
    ]
    assert [int(found["report/index.html"]) for found in times] == [1_700_000_002] * 2


def test_a_stream_on_disk_is_read_like_one_in_memory(source: Path, tmp_path: Path) -> None:
    run(["tar", "-cf", str(tmp_path / "a.tar"), "report"], source)
    budget = Budget(UnpackLimits(), source_size=1)
    with (tmp_path / "a.tar").open("rb", buffering=0) as stream:
        members = read_archive(stream, ArchiveKind.TAR, budget=budget, findings=Findings())
        paths = [member.path for member, _ in members]
    assert "report/index.html" in paths


def test_of_appended_members_the_last_wins_as_in_gnu_tar(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "h").hardlink_to(tmp_path / "a")
    run(["tar", "-cf", "log.tar", "a", "h"], tmp_path)
    (tmp_path / "a").unlink()
    (tmp_path / "a").write_bytes(b"new")
    run(["tar", "-rf", "log.tar", "a"], tmp_path)
    (tmp_path / "out").mkdir()
    run(["tar", "-xf", "../log.tar"], tmp_path / "out")
    found = read(tmp_path / "log.tar", ArchiveKind.TAR)
    assert found.files == on_disk(tmp_path / "out") == {"a": b"new", "h": b"old"}
    assert found.problems == ["duplicate-member"]
