"""Uploads as they come: many at once, of every size, broken off, and what they cost."""

from __future__ import annotations

import random
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest

from httpbucket.domain.digest import EMPTY
from tests.live.abilities import command_with_own_mounts
from tests.live.conftest import ServerFactory
from tests.live.server import SERVE, LiveServer, digest, wait_until
from tests.live.wire import multipart, multipart_frame, request_head

KIB = 1024
MIB = 1024**2

#: How far a worker may grow over its idle size, whatever is uploaded.
MOST_GROWTH = 64 * MIB


def some_bytes(size: int, *, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def blob_files(server: LiveServer) -> list[Path]:
    """Every blob but the empty one, which is always there."""
    files = (path for path in (server.archive / "blob").rglob("*") if path.is_file())
    return [path for path in files if path.name != EMPTY.hex]


def upload_directories(server: LiveServer) -> list[Path]:
    return list((server.archive / "archive").glob("*/*/*/*"))


@pytest.mark.parametrize(
    "size",
    [0, 1]
    + [edge + off for edge in (64 * KIB, 500 * KIB, 500_000, MIB) for off in (-1, 0, 1)]
    + [3 * MIB],
)
def test_a_file_of_any_size_is_kept_byte_for_byte(server: LiveServer, size: int) -> None:
    content = some_bytes(size)
    receipt = server.upload(content, f"{size}.bin")
    assert receipt["upload"]["size"] == size
    for algorithm in ("md5", "sha256", "sha512"):
        assert receipt["upload"]["digests"][algorithm] == digest(content, algorithm)
        assert server.knows(digest(content, algorithm)) == 200
    assert (server.archive / receipt["path"]["blob"]).read_bytes() == content
    assert (server.archive / receipt["path"]["upload"] / f"{size}.bin").read_bytes() == content
    assert server.request("GET", "/" + receipt["path"]["blob"]).body == content


@pytest.mark.parametrize(
    "piece", [b"\r\n--the-boundar", b"\r\n", b"\r", b"x--the-boundary--", b"-"]
)
def test_what_looks_like_a_boundary_is_content(server: LiveServer, piece: bytes) -> None:
    content = piece * (MIB // len(piece))
    receipt = server.upload(content)
    assert (server.archive / receipt["path"]["blob"]).read_bytes() == content


@pytest.mark.parametrize(
    ("filename", "disposition"),
    [
        ("results.xml", "inline; filename=results.xml"),
        ("two words.txt", 'inline; filename="two words.txt"'),
        ("café.txt", "inline; filename=caf_.txt; filename*=UTF-8''caf%C3%A9.txt"),
        ("日本.txt", "inline; filename=__.txt; filename*=UTF-8''%E6%97%A5%E6%9C%AC.txt"),
        ("😀", "inline; filename=_; filename*=UTF-8''%F0%9F%98%80"),
    ],
)
def test_a_blob_is_served_under_the_name_it_came_with(
    server: LiveServer, filename: str, disposition: str
) -> None:
    content = f"named {filename}".encode()
    path = "/" + server.upload(content, filename)["path"]["blob"]
    for method, body in (("GET", content), ("HEAD", b"")):
        answer = server.request(method, path)
        assert (answer.status, answer.body) == (200, body)
        assert answer.headers["Content-Disposition"] == disposition


def test_sixteen_clients_with_the_same_new_content_make_one_blob(servers: ServerFactory) -> None:
    server = servers.start(WEB_CONCURRENCY="4")
    content = some_bytes(2 * MIB)
    everybody = Barrier(16)

    def upload(number: int) -> str:
        everybody.wait()
        return str(server.upload(content, f"{number}.bin")["upload"]["id"])

    with ThreadPoolExecutor(16) as clients:
        ids = set(clients.map(upload, range(16)))
    assert len(ids) == 16
    assert {path.name for path in upload_directories(server)} == ids
    assert [path.name for path in blob_files(server)] == [digest(content)]
    assert blob_files(server)[0].stat().st_nlink == 17
    assert "ERROR" not in server.log
    server.wait_for_empty_staging()


def test_sixteen_clients_with_contents_of_their_own_keep_them_all(server: LiveServer) -> None:
    contents = [some_bytes(20 * KIB, seed=seed) for seed in range(160)]
    with ThreadPoolExecutor(16) as clients:
        list(clients.map(server.upload, contents))
        statuses = list(clients.map(server.knows, map(digest, contents)))
    assert statuses == [200] * 160


def test_the_place_for_temporary_files_does_not_matter(servers: ServerFactory) -> None:
    place = servers.directory / "tiny"
    place.mkdir()
    mount = f"mount -t tmpfs -o size=64k none {place}"
    command = command_with_own_mounts(mount, SERVE)
    server = servers.start(command=command, TMPDIR=str(place))
    content = some_bytes(3 * MIB)
    server.upload(content)
    assert server.knows(digest(content)) == 200


@pytest.mark.parametrize("umask", [0, 0o077])
def test_the_modes_of_kept_files_do_not_depend_on_the_umask(
    servers: ServerFactory, umask: int
) -> None:
    server = servers.start(umask=umask)
    server.upload(b"content")
    server.upload(b"")
    # A worker that is still starting makes and removes a directory in staging.
    server.stop()
    wrong = {
        path: oct(mode)
        for path in (server.archive, *server.archive.rglob("*"))
        if (mode := stat.S_IMODE(path.stat().st_mode)) != expected_mode(path)
    }
    assert wrong == {}


def expected_mode(path: Path) -> int:
    if "private" in path.parts:
        return 0o700 if path.is_dir() else 0o600
    return 0o755 if path.is_dir() else 0o444


@pytest.mark.parametrize("mebibytes", [128, pytest.param(1024, marks=pytest.mark.long)])
@pytest.mark.parametrize("is_raw", [False, True])
def test_a_large_upload_costs_little_memory_and_one_write(
    servers: ServerFactory, mebibytes: int, is_raw: bool
) -> None:
    server = servers.start(MAX_CONTENT_LENGTH="2gb")
    warm_up(server)
    idle = {pid: forget_peak(pid) for pid in server.workers()}
    written = total_written(server)
    status = upload_pattern(server, mebibytes, is_raw=is_raw)
    assert status == 200
    growth = {pid: peak_memory(pid) - idle[pid] for pid in idle}
    assert [pid for pid in growth if growth[pid] > MOST_GROWTH] == []
    # What is beyond the file's bytes: the record, the index and its log, the directories.
    allowed = mebibytes * MIB * 1.02 + 4 * MIB
    assert total_written(server).keys() == written.keys()
    for account, before in written.items():
        assert total_written(server)[account] - before < allowed, account
    server.wait_for_empty_staging()
    shutil.rmtree(server.archive / "blob")
    shutil.rmtree(server.archive / "archive")


def warm_up(server: LiveServer) -> None:
    """Let every worker load what it loads with its first uploads."""
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(server.upload, [some_bytes(MIB)] * 32))


def upload_pattern(server: LiveServer, mebibytes: int, *, is_raw: bool) -> int:
    """Upload a file that nobody holds in memory."""
    piece = some_bytes(MIB)
    start, end = (b"", b"") if is_raw else multipart_frame("large.bin")
    length = {"Content-Length": str(len(start) + mebibytes * MIB + len(end))}
    head = request_head("POST", "/upload", {"Content-Type": multipart(b"")[1]} | length)
    if is_raw:
        head = request_head("PUT", "/upload/large.bin", length)
    with server.connect(seconds=300) as wire:
        wire.send(head + start)
        for _ in range(mebibytes):
            wire.send(piece)
        wire.send(end)
        return wire.receive_answer().status


def forget_peak(pid: int) -> int:
    """Let the kernel measure the peak of resident memory anew; the bytes resident now."""
    # "5" resets VmHWM (proc(5), clear_refs).
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_memory(pid)


def peak_memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * KIB
    raise AssertionError(f"process {pid} has no VmHWM")


def total_written(server: LiveServer) -> dict[str, int]:
    """Bytes that the workers wrote: by system calls, and to disks."""
    total = {"wchar": 0, "write_bytes": 0}
    for pid in server.workers():
        for line in Path(f"/proc/{pid}/io").read_text().splitlines():
            name, _, count = line.partition(": ")
            if name in total:
                total[name] += int(count)
    return total


def test_aborted_uploads_leave_nothing_and_no_descriptor(servers: ServerFactory) -> None:
    server = servers.start()
    warm_up(server)
    before = open_descriptors(server)
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda number: abort(server, number), range(500)))
    wait_until(
        lambda: open_descriptors(server) <= before, seconds=20, what="descriptors are closed"
    )
    assert len(blob_files(server)) == 1
    server.wait_for_empty_staging()
    assert "ERROR" not in server.log


def abort(server: LiveServer, number: int) -> None:
    """Begin an upload and break it off, in turn by a close and by a reset."""
    content = some_bytes(number * 97, seed=number)
    headers = {"Content-Type": multipart(b"")[1], "Content-Length": "1000000"}
    wire = server.connect()
    # The server may answer and close first; that is an end as good as any.
    with suppress(OSError):
        wire.send(request_head("POST", "/upload", headers) + multipart_frame()[0] + content)
    if number % 2:
        wire.reset()
    else:
        wire.close()


def open_descriptors(server: LiveServer) -> int:
    """The workers' open files and sockets, save those of the index, which threads hold."""
    return len([target for target in server.open_files() if "index.sqlite3" not in target])
