"""Replicas under many clients, before the eyes of readers, and through ``kill -9``."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from httpbucket.domain.replica import ReplicaName
from tests.builders import COMPRESSORS, tar, tar_member
from tests.live.conftest import ServerFactory
from tests.live.replica_clients import BOB, DEMO, TEMPLATE, upload_on, upload_to
from tests.live.server import LiveServer
from tests.processes import in_children
from tests.replica_checks import link_faults, numbers_by_minute, replica_faults

PROCESSES = 8
UPLOADS = 200
READ_NAMES = [f"part-{number}.txt" for number in range(5)]


def test_processes_upload_one_name_without_holes_or_doubles(servers: ServerFactory) -> None:
    server = servers.start(REPLICATE_0=TEMPLATE)
    numbers = range(PROCESSES)
    told = in_children([partial(upload_often, server, number, UPLOADS) for number in numbers])
    directory = server.archive / DEMO
    by_minute = numbers_by_minute(directory)
    assert by_minute == {minute: [*range(len(got))] for minute, got in by_minute.items()}
    paths = [path for paths in told for path in paths]
    assert len(set(paths)) == len(paths) == PROCESSES * UPLOADS
    assert sum(map(len, by_minute.values())) == PROCESSES * UPLOADS
    assert str((directory / "results.latest.xml").readlink()) in last_names(by_minute)
    assert replica_faults(server.archive) == []


def upload_often(server: LiveServer, client: int, uploads: int) -> list[str]:
    """Upload contents of its own under one name, on one connection; the replicas' paths."""
    with server.connect() as wire:
        receipts = (upload_on(wire, BOB, b"%d %d" % (client, number)) for number in range(uploads))
        return [path for receipt in receipts for path in receipt["path"]["replicas"]]


def last_names(by_minute: dict[str, list[int]]) -> set[str]:
    """The highest number, or that of the minute before: it may have begun in it and ended last."""
    names = {
        minute: f"results.{minute}.{max(numbers)}.xml" for minute, numbers in by_minute.items()
    }
    assert all(ReplicaName.parse(name) for name in names.values())
    return {names[minute] for minute in sorted(names)[-2:]}


def test_readers_see_whole_versions_during_replacements(servers: ServerFactory) -> None:
    server = servers.start(REPLICATE_0=TEMPLATE, FSYNC="off")
    latest = server.archive / DEMO / "results.latest"
    upload_version(server, 0)
    ended = server.directory / "ended"
    versions, by_descriptor, by_name = in_children(
        [
            partial(replace_often, server, ended, 500),
            partial(read_until, ended, partial(read_by_descriptor, latest)),
            partial(read_until, ended, partial(read_by_name, latest)),
        ]
    )
    assert versions == 500
    assert by_descriptor > 50
    assert by_name > 50
    assert replica_faults(server.archive) == []


def upload_version(server: LiveServer, version: int) -> None:
    members = (tar_member(name, b"%d" % version) for name in READ_NAMES)
    upload_to(server, BOB, tar(*members), "results.tar")


def replace_often(server: LiveServer, ended: Path, times: int) -> int:
    try:
        for version in range(1, times + 1):
            upload_version(server, version)
    finally:
        ended.touch()
    return times


def read_until(ended: Path, read: Callable[[], None]) -> int:
    """Read again and again; how often."""
    for number in count():
        if ended.exists():
            return number
        read()
    raise AssertionError("counting never ends")


def read_by_descriptor(latest: Path) -> None:
    """Resolve ``latest`` once: every file is of one version."""
    directory = os.open(latest, os.O_RDONLY | os.O_DIRECTORY)
    try:
        versions = {read_below(name, directory) for name in READ_NAMES}
    finally:
        os.close(directory)
    assert len(versions) == 1, versions


def read_below(name: str, directory: int) -> bytes:
    with open(name, "rb", opener=partial(os.open, dir_fd=directory)) as file:
        return file.read()


def read_by_name(latest: Path) -> None:
    """Resolve ``latest`` for each file: each is there, of an earlier or a later version."""
    for name in READ_NAMES:
        assert (latest / name).read_bytes().isdigit()


@pytest.mark.parametrize("rounds", [4, pytest.param(20, marks=pytest.mark.long)])
def test_after_a_kill_replicas_are_what_records_say(servers: ServerFactory, rounds: int) -> None:
    server = servers.start(REPLICATE_0=TEMPLATE, REPLICATE_1="all/${USERNAME}")
    chance = random.Random(20261121)
    acknowledged: list[str] = []
    for number in range(rounds):
        with ThreadPoolExecutor(PROCESSES) as clients:
            seeds = [number * PROCESSES + client for client in range(PROCESSES)]
            told = [clients.submit(upload_until_it_dies, server, seed) for seed in seeds]
            time.sleep(chance.uniform(0.1, 0.8))  # a moment to be killed at, not to wait for
            server.kill()
            acknowledged += [path for one in told for path in one.result()]
        assert list(link_faults(server.archive / "replica")) == [], f"after kill {number}"
        server.start()
        assert replica_faults(server.archive) == [], f"after kill {number}"
        assert list((server.archive / "private" / "redo").iterdir()) == []
        assert [path for path in acknowledged if not (server.archive / path).exists()] == []
    assert len(acknowledged) > rounds


def upload_until_it_dies(server: LiveServer, seed: int) -> list[str]:
    """Upload files, compressed files and archive files; the replicas that were acknowledged."""
    chance = random.Random(seed)
    paths: list[str] = []
    while True:
        content = chance.randbytes(100)
        packed = tar(*(tar_member(f"{number}/x", content) for number in range(20)))
        kinds = {
            "results.xml": content,
            "log.gz": COMPRESSORS["gzip"](content),
            "results.tgz": COMPRESSORS["gzip"](packed),
        }
        name = chance.choice([*kinds])
        headers = BOB | {"Username": chance.choice(["bob", "eve"]), "Result": "ok"}
        try:
            paths += upload_to(server, headers, kinds[name], name)["path"]["replicas"]
        except OSError:
            return paths
