"""Archive files on a real server: their trees on disk, in crowds, after crashes, on their own."""

from __future__ import annotations

import io
import os
import random
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.builders import COMPRESSORS, ZipEntry, tar, tar_member, zip_file
from tests.live.abilities import command_with_own_mounts
from tests.live.conftest import ServerFactory
from tests.live.server import SERVE, LiveServer, digest, wait_until
from tests.live.test_crashes import dead_staging
from tests.live.test_uploads import blob_files, upload_directories, warm_up
from tests.live.trees import executables, problems, tree_of, tree_on_disk
from tests.live.wire import multipart
from tests.tools import require_tool

MIB = 1024**2

TEST_OF_A_PROJECT = """
import pytest
from shop import größe

@pytest.mark.parametrize("n", range(30))
def test_size(n):
    assert größe.double(n) == 2 * n
"""


def run(command: Sequence[str], cwd: Path) -> None:
    """Run a program in a UTF-8 locale, and fail when it fails."""
    environment = os.environ | {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}
    finished = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, check=False)
    assert finished.returncode == 0, (finished.stdout + finished.stderr).decode(errors="replace")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a CI job leaves: JUnit XML, a coverage report in HTML, logs, a script, a directory."""
    project = tmp_path_factory.mktemp("project")
    (project / "shop").mkdir()
    (project / "shop/__init__.py").touch()
    (project / "shop/größe.py").write_text("def double(n):\n    return 2 * n\n")
    (project / "test_shop.py").write_text(TEST_OF_A_PROJECT)
    coverage = [sys.executable, "-m", "coverage"]
    options = ["-q", "-p", "no:cacheprovider", "--junitxml=results/junit.xml"]
    run([*coverage, "run", "--source=.", "-m", "pytest", *options], project)
    run([*coverage, "html", "-q", "-d", "results/coverage"], project)
    results = project / "results"
    (results / "logs/nobody wrote any").mkdir(parents=True)
    (results / "Übersicht 日本語.txt").write_text("größer")
    (results / "empty").touch()
    (results / "rerun.sh").write_text("#!/bin/sh\nexec pytest\n")
    (results / "rerun.sh").chmod(0o755)
    return project


def test_a_report_is_on_disk_file_by_file_under_its_own_names(
    server: LiveServer, report: Path, tmp_path: Path
) -> None:
    run([require_tool("tar"), "czf", str(tmp_path / "report.tgz"), "results"], report)
    receipt = server.upload((tmp_path / "report.tgz").read_bytes(), "report.tgz")
    assert problems(receipt) == []
    found = tree_of(server, receipt)
    assert found == {
        f"results/{name}": kept for name, kept in tree_on_disk(report / "results").items()
    }
    assert found["results/logs/nobody wrote any"] is None
    assert found["results/Übersicht 日本語.txt"] == "größer".encode()
    assert any(name.startswith("results/coverage/") and "größe" in name for name in found)
    assert executables(server, receipt) == {"results/rerun.sh"}
    upload = server.archive / receipt["path"]["upload"]
    names = {".manifest.jsonl", ".upload.json", "report", "report.tar", "report.tgz"}
    assert {path.name for path in upload.iterdir()} == names
    assert receipt["checksum"]["archive"] == digest((upload / "report.tar").read_bytes(), "md5")
    for content in filter(None, found.values()):
        assert server.knows(digest(content)) == 200


def test_the_modes_of_a_tree_are_those_of_the_store(server: LiveServer) -> None:
    modes = {"plain": 0o644, "all": 0o777, "setuid": 0o4755, "none": 0o000}
    members = [tar_member(name, name.encode(), mode=mode) for name, mode in modes.items()]
    closed = tar_member("closed/", kind=b"5", mode=0o000)
    receipt = server.upload(tar(*members, closed, tar_member("closed/x", b"1")), "modes.tar")
    tree = server.archive / receipt["path"]["archive"]
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tree.rglob("*")}
    assert found == {**dict.fromkeys((*modes, "x"), 0o444), "closed": 0o755}
    assert executables(server, receipt) == {"all", "setuid"}


def test_members_named_like_our_own_files_are_in_their_tree_and_nowhere_else(
    server: LiveServer,
) -> None:
    names = (
        *("index.sqlite3", ".lock", "private/staging/x", "staging/x", "latest", ".upload.json"),
        *(".manifest.jsonl", "bucket-layout", "blob/ab/cd/x", "archive/2026/11/21/x"),
    )
    members = {name: f"a member called {name}".encode() for name in names}
    archive = tar(*(tar_member(*member) for member in members.items()))
    receipt = server.upload(archive, "archive.tar")
    assert tree_of(server, receipt) == members
    assert (server.archive / "bucket-layout").read_text() == "1\n"
    assert server.request("GET", f"/uploads/{receipt['upload']['id']}").status == 200


def test_two_archives_cannot_do_in_two_steps_what_one_cannot(server: LiveServer) -> None:
    """The first would leave a link, the second would write through it (CVE-2025-45582)."""
    outside = server.directory / "outside"
    outside.mkdir(exist_ok=True)
    link = tar_member("door", kind=b"2", linkname=str(outside))
    first = server.upload(tar(link, tar_member("kept", b"1")), "two.tar")
    second = server.upload(tar(tar_member("door/evil", b"2")), "two.tar")
    assert problems(first) == ["link-left-out"]
    assert tree_of(server, first) == {"kept": b"1"}
    assert tree_of(server, second) == {"door/evil": b"2"}
    assert list(outside.iterdir()) == []


COMMANDS = {
    "tar": (["tar", "-cf", "a.tar", "results"], ["tar", "-xf"]),
    "tar-zstd": (["tar", "--zstd", "-cf", "a.tar.zst", "results"], ["tar", "-xf"]),
    "tar-xz": (["tar", "-cJf", "a.txz", "results"], ["tar", "-xf"]),
    "tar-bzip2": (["tar", "-cjf", "a.tbz2", "results"], ["tar", "-xf"]),
    "bsdtar": (["bsdtar", "--format", "pax", "-czf", "a.tgz", "results"], ["tar", "-xf"]),
    "7z-tar": (["7z", "a", "-ttar", "a.tar", "results"], ["tar", "-xf"]),
    "zip": (["zip", "-r", "a.zip", "results"], ["unzip", "-q"]),
    "7z-zip": (["7z", "a", "-tzip", "a.zip", "results"], ["unzip", "-q"]),
}
PACKAGES = {"7z": "p7zip-full", "bsdtar": "libarchive-tools"}


@pytest.mark.parametrize("writer", COMMANDS)
def test_what_programs_pack_comes_out_as_programs_unpack_it(
    server: LiveServer, report: Path, tmp_path: Path, writer: str
) -> None:
    pack, unpack = COMMANDS[writer]
    require_tool(pack[0], package=PACKAGES.get(pack[0]))
    require_tool(unpack[0])
    run(["cp", "-a", str(report / "results"), str(tmp_path)], tmp_path)
    run(pack, tmp_path)
    (archive,) = tmp_path.glob("a.*")
    (tmp_path / "out").mkdir()
    run([*unpack, str(archive)], tmp_path / "out")
    receipt = server.upload(archive.read_bytes(), archive.name)
    assert tree_of(server, receipt) == tree_on_disk(tmp_path / "out")
    assert problems(receipt) == []


def many_members(count: int, *, seed: int = 0) -> dict[str, bytes]:
    """Small files of their own, in a hundred directories."""
    chance = random.Random(seed)
    return {
        f"report/{number % 100:02}/{number:05}.html": chance.randbytes(chance.randrange(100, 2000))
        for number in range(count)
    }


def tgz_of(members: dict[str, bytes]) -> bytes:
    """As tar and a quick gzip would make it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_eight_clients_with_one_new_archive_file_all_get_a_whole_tree(
    servers: ServerFactory,
) -> None:
    server = servers.start()
    members = many_members(300)
    content = tgz_of(members)
    everybody = threading.Barrier(8)

    def upload(number: int) -> dict[str, bytes | None]:
        everybody.wait()
        return tree_of(server, server.upload(content, f"{number}.tgz"))

    with ThreadPoolExecutor(8) as clients:
        trees = list(clients.map(upload, range(8)))
    assert trees == [members] * 8
    assert len(upload_directories(server)) == 8
    assert server.staged_names() == []
    assert "ERROR" not in server.log
    for path in blob_files(server):
        assert digest(path.read_bytes()) == path.name


def is_unpacking(server: LiveServer) -> bool:
    """Whether members of an archive file wait in staging to become blobs."""
    staging = server.archive / "private" / "staging"
    return any(True for _ in staging.glob("*/batch-*/*"))


def post_and_forget(server: LiveServer, content: bytes) -> Iterator[None]:
    """Send an upload and let the caller do something before the connection ends."""
    body, kind = multipart(content, "results.tgz")
    with server.connect() as wire:
        wire.send_request("POST", "/upload", body, {"Content-Type": kind})
        yield


def test_a_server_killed_while_it_unpacks_gives_a_whole_tree_the_next_time(
    servers: ServerFactory,
) -> None:
    server = servers.start()
    members = many_members(2000)
    content = tgz_of(members)
    for _ in post_and_forget(server, content):
        wait_until(lambda: is_unpacking(server), seconds=30, what="members are being unpacked")
        server.kill()
    assert upload_directories(server) == []
    server.start()
    assert dead_staging(server) == []
    assert tree_of(server, server.upload(content, "results.tgz")) == members


def test_a_client_that_leaves_ends_the_work(servers: ServerFactory) -> None:
    server = servers.start()
    warm_up(server)
    uploads = len(upload_directories(server))
    content = tgz_of(many_members(5000))
    for _ in post_and_forget(server, content):
        wait_until(lambda: is_unpacking(server), seconds=30, what="members are being unpacked")
    wait_until(lambda: server.staged_names() == [], seconds=60, what="staging is empty")
    wait_until(lambda: not server.is_receiving(), seconds=20, what="staged files are closed")
    assert len(upload_directories(server)) == uploads
    assert digest(content) not in {path.name for path in blob_files(server)}
    assert "Traceback" not in server.log


@pytest.mark.parametrize("count", [6000, pytest.param(20_000, marks=pytest.mark.long)])
def test_questions_are_answered_while_a_large_archive_file_is_unpacked(
    servers: ServerFactory, count: int
) -> None:
    server = servers.start(WEB_CONCURRENCY="1")
    known = digest(b"known")
    server.upload(b"known")
    members = many_members(count)
    content = tgz_of(members)
    answers: list[int] = []
    with ThreadPoolExecutor(1) as client, server.connect() as wire:
        uploading = client.submit(server.upload, content, "results.tgz")
        wait_until(lambda: is_unpacking(server), seconds=30, what="members are being unpacked")
        while not uploading.done():
            wire.send_request("HEAD", f"/checksum/{known}")
            answers.append(wire.receive_answer("HEAD").status)
        receipt = uploading.result()
    assert len(answers) > 100
    assert {*answers} == {200}
    assert len(tree_of(server, receipt)) == len(members)


def test_an_archive_file_larger_than_the_free_space_is_refused_and_cleaned_up(
    servers: ServerFactory,
) -> None:
    place = servers.directory / "small"
    place.mkdir()
    command = command_with_own_mounts(f"mount -t tmpfs -o size=24m none {place}", SERVE)
    server = servers.start(command=command, ARCHIVE_DIR=str(place / "archive"))
    # The mount is the server's own; it is seen through the server's root.
    seen = Path(f"/proc/{server.workers()[0]}/root{place}/archive")
    body, kind = multipart(COMPRESSORS["gzip"](bytes(64 * MIB)), "zeros.gz")
    answer = server.request("POST", "/upload", body, {"Content-Type": kind})
    assert (answer.status, answer.problem) == (507, "storage-full")
    many = zip_file(*(ZipEntry(f"{number}", os.urandom(1024) + bytes(MIB)) for number in range(40)))
    body, kind = multipart(many, "many.zip")
    answer = server.request("POST", "/upload", body, {"Content-Type": kind})
    assert (answer.status, answer.problem) == (507, "storage-full")
    assert list(seen.glob("archive/*/*/*/*")) == []
    assert list(seen.glob("private/staging/*/*")) == []
    receipt = server.upload(tgz_of({"fits": b"1"}), "fits.tgz")
    assert (seen / receipt["path"]["archive"] / "fits").read_bytes() == b"1"


def test_of_ten_bombs_at_once_two_take_room_and_nobody_else_waits(servers: ServerFactory) -> None:
    server = servers.start(
        WEB_CONCURRENCY="1", UNPACK_MAX_BYTES="32mb", UNPACK_CONCURRENCY="2", FSYNC="off"
    )
    bomb = COMPRESSORS["gzip"](bytes(32 * MIB)) * 4
    sizes, served = [], 0
    with ThreadPoolExecutor(10) as clients:
        sent = [clients.submit(server.upload, bomb, f"bomb-{one}.gz") for one in range(10)]
        while not all(one.done() for one in sent):
            sizes.append(staged_bytes(server))
            server.upload(b"plain %d" % served)
            served += not all(one.done() for one in sent)
    assert [problems(one.result()) for one in sent] == [["unpack-limit"]] * 10
    assert served > 0
    assert 0 < max(sizes) < 2 * 33 * MIB + 10 * (len(bomb) + MIB)
    server.wait_for_empty_staging()


def staged_bytes(server: LiveServer) -> int:
    """The room that files take which have no name yet."""
    (worker,) = server.workers()
    total = 0
    for descriptor in Path(f"/proc/{worker}/fd").iterdir():
        # It may be closed by now.
        with suppress(FileNotFoundError):
            if "/private/staging/#" in str(descriptor.readlink()):
                total += descriptor.stat().st_blocks * 512
    return total
