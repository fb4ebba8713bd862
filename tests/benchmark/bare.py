"""The same work without a server: the least that it could take."""

# What is measured are system calls, not pathlib.
# ruff: noqa: PTH102, PTH104, PTH112, PTH120

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.benchmark.contents import Big, Content

#: What syncs a descriptor, or leaves it.
_Sync = Callable[[int], None]

#: What the server computes of an upload by default.
DIGESTS = ("md5", "sha256", "sha512")

_PIECE = 256 * 1024
_RECORD = b"x" * 640

_SUMS = "find . -type f -print0 | xargs -0 sha256sum > /dev/null"

#: How to unpack and hash an archive file with Debian's programs, by its suffix.
UNPACK = {"tgz": f"tar xzf {{}} && {_SUMS}", "zip": f"unzip -q {{}} && {_SUMS}"}


def shell(script: str, directory: Path, environ: Mapping[str, str] | None = None) -> float:
    """Seconds that a script takes in a directory."""
    start = time.perf_counter()
    subprocess.run(["sh", "-euc", script], cwd=directory, env=environ, check=True)
    return time.perf_counter() - start


def hash_in_memory(big: Big, algorithms: Iterable[str]) -> float:
    """Seconds that the digests of the big file take, in a thread each, once it is in memory."""
    content = big.first_line(0) + big.rest.read_bytes()

    def hash_with(algorithm: str) -> str:
        hasher, view = hashlib.new(algorithm), memoryview(content)
        for start in range(0, len(content), _PIECE):
            hasher.update(view[start : start + _PIECE])
        return hasher.hexdigest()

    start = time.perf_counter()
    with ThreadPoolExecutor() as threads:
        list(threads.map(hash_with, algorithms))
    return time.perf_counter() - start


def write_small(directory: Path, contents: list[Content], *, threads: int, fsync: bool) -> float:
    """Seconds that the system calls of as many small uploads take: nothing is received or hashed.

    They are those that ``strace`` shows of an upload: an unnamed file that gets its name in
    ``blob/``, the upload's directory with a link and a record, and the rename that publishes it.
    """
    sync = os.fsync if fsync else _leave
    for name in ("blob", "staging", "archive"):
        (directory / name).mkdir(parents=True)
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda one: _write_one(str(directory), one, sync), contents))
    return time.perf_counter() - start


def _write_one(root: str, one: Content, sync: _Sync) -> None:
    staged = os.open(f"{root}/staging", os.O_RDWR | os.O_TMPFILE, 0o600)
    os.write(staged, one.content)
    os.fchmod(staged, 0o444)
    sync(staged)
    shelf = f"{root}/blob/{one.sha256[:2]}/{one.sha256[2:4]}"
    _make_directories(f"{root}/blob", shelf, sync)
    blob = f"{shelf}/{one.sha256}"
    os.link(f"/proc/self/fd/{staged}", blob, src_dir_fd=staged, follow_symlinks=True)
    _sync_directory(shelf, sync)
    os.close(staged)
    upload = f"{root}/staging/{one.name}"
    os.mkdir(upload)
    os.link(blob, f"{upload}/results.xml")
    record = os.open(f"{upload}/.upload.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    os.write(record, _RECORD)
    sync(record)
    os.close(record)
    _sync_directory(upload, sync)
    os.rename(upload, f"{root}/archive/{one.name}")
    _sync_directory(f"{root}/archive", sync)


def _leave(descriptor: int) -> None:
    """Sync nothing."""


def _make_directories(top: str, shelf: str, sync: _Sync) -> None:
    if os.path.isdir(shelf):
        return
    middle = os.path.dirname(shelf)
    for parent, directory in ((top, middle), (middle, shelf)):
        try:
            os.mkdir(directory)
        except FileExistsError:
            continue
        _sync_directory(parent, sync)


def _sync_directory(path: str, sync: _Sync) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    sync(descriptor)
    os.close(descriptor)


def receive_hash_and_link(content: Path, names: list[tuple[str, str]], target: Path) -> float:
    """Seconds of the least that a second upload has to do: nothing is checked or recorded.

    ``names`` are the blobs' paths and those of their names below ``target``.
    """
    target.mkdir(parents=True)
    start = time.perf_counter()
    ours, theirs = socket.socketpair()
    with ours, theirs, (target / "received").open("wb") as received:
        sender = threading.Thread(target=_send, args=(theirs, content.read_bytes()))
        sender.start()
        hashers = [hashlib.new(name) for name in DIGESTS]
        while piece := ours.recv(_PIECE):
            received.write(piece)
            for hasher in hashers:
                hasher.update(piece)
        sender.join()
    for parent in {name.rpartition("/")[0] for _, name in names}:
        (target / parent).mkdir(parents=True)
    for blob, name in names:
        os.link(blob, f"{target}/{name}")
    return time.perf_counter() - start


def _send(target: socket.socket, content: bytes) -> None:
    target.sendall(content)
    target.shutdown(socket.SHUT_WR)
