"""The process that helps a worker to unpack is killed, or loses its worker, and nobody notices."""

from __future__ import annotations

import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from httpbucket.storage.local.scribe import has_second_processor
from tests.live.conftest import ServerFactory
from tests.live.server import LiveServer, processes_in_group, wait_until
from tests.live.test_archives import many_members, post_and_forget, tgz_of
from tests.live.test_crashes import dead_staging
from tests.live.test_uploads import blob_files, upload_directories
from tests.live.trees import problems, tree_of

pytestmark = pytest.mark.skipif(not has_second_processor(), reason="needs two processors")


def scribes(server: LiveServer) -> list[int]:
    """The processes that workers have started."""
    workers = set(server.workers())
    return [pid for pid, parent in processes_in_group(server.pid) if parent in workers]


def works_of(scribe: int) -> str:
    """What it makes: ``files`` or ``links``; empty when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{scribe}/cmdline").read_text().rstrip("\0").rpartition("\0")[2]
    return ""


def wait_for_scribe(server: LiveServer, work: str = "files") -> int:
    """The process that makes these."""
    found: list[int] = []

    def is_there() -> bool:
        found[:] = [one for one in scribes(server) if works_of(one) == work]
        return found != []

    wait_until(is_there, seconds=30, what=f"a scribe makes {work}")
    return found[0]


def test_killing_scribes_at_any_moment_changes_no_tree(servers: ServerFactory) -> None:
    server, chance = servers.start(FSYNC="off", WEB_CONCURRENCY="1"), random.Random(7)
    for number in range(3):
        members = many_members(2500, seed=number)
        with ThreadPoolExecutor(1) as client:
            upload = client.submit(server.upload, tgz_of(members), "results.tgz")
            while not upload.done():
                # It may come to its end by itself before.
                for one in scribes(server):
                    with suppress(ProcessLookupError):
                        os.kill(one, signal.SIGKILL)
                with suppress(TimeoutError):
                    upload.exception(timeout=chance.uniform(0.01, 0.2))
            assert tree_of(server, upload.result()) == members
    assert "ended; this one does it all" in server.log
    assert scribes(server) == []
    assert "Traceback" not in server.log


@pytest.mark.parametrize("work", ["files", "links"])
def test_a_worker_killed_alone_leaves_nothing_that_its_scribe_makes(
    servers: ServerFactory, work: str
) -> None:
    server = servers.start(FSYNC="off", WEB_CONCURRENCY="1")
    members = many_members(2500)
    content = tgz_of(members)
    for _ in post_and_forget(server, content):
        scribe = wait_for_scribe(server, work)
        killed = server.workers()
        os.kill(killed[0], signal.SIGKILL)
        wait_for_other_workers(server, killed)
    wait_until(lambda: not is_there(server, scribe), seconds=20, what="the scribe is gone")
    assert upload_directories(server) == []
    server.stop()
    server.start()
    assert dead_staging(server) == []
    assert server.staged_names() == []
    assert tree_of(server, server.upload(content, "results.tgz")) == members


def wait_for_other_workers(server: LiveServer, before: list[int]) -> None:
    wait_until(lambda: server.workers() not in ([], before), seconds=30, what="another worker")


def is_there(server: LiveServer, scribe: int) -> bool:
    return any(pid == scribe for pid, _ in processes_in_group(server.pid))


def test_a_client_that_leaves_ends_the_scribe(servers: ServerFactory) -> None:
    server = servers.start(FSYNC="off")
    for _ in post_and_forget(server, tgz_of(many_members(5000))):
        wait_for_scribe(server)
    wait_until(lambda: scribes(server) == [], seconds=60, what="the scribe is gone")
    wait_until(lambda: server.staged_names() == [], seconds=60, what="staging is empty")
    assert blob_files(server) == []


def test_an_archive_file_that_is_too_much_ends_the_scribe(servers: ServerFactory) -> None:
    server = servers.start(FSYNC="off", UNPACK_MAX_MEMBERS="2000")
    receipt = server.upload(tgz_of(many_members(2500)), "results.tgz")
    assert problems(receipt) == ["unpack-limit"]
    assert scribes(server) == []
    assert server.staged_names() == []


@pytest.mark.parametrize("switch", ["on", "off"])
def test_the_tree_is_the_same_without(servers: ServerFactory, switch: str) -> None:
    server = servers.start(FSYNC="off", FAST_UNPACK=switch)
    members = many_members(1500)
    seen = []
    with ThreadPoolExecutor(1) as client:
        upload = client.submit(server.upload, tgz_of(members), "results.tgz")
        while not upload.done():
            seen += scribes(server)
    assert tree_of(server, upload.result()) == members
    assert (seen != []) == (switch == "on")


def test_a_server_that_is_told_to_stop_finishes_with_its_scribe(servers: ServerFactory) -> None:
    server = servers.start(FSYNC="off", WEB_CONCURRENCY="1")
    members = many_members(2500)
    with ThreadPoolExecutor(1) as client:
        upload = client.submit(server.upload, tgz_of(members), "results.tgz")
        wait_for_scribe(server)
        assert server.stop() == 0
        receipt = upload.result()
    assert tree_of(server, receipt) == members
