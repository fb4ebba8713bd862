"""``kill -9`` at any moment loses nothing that was acknowledged, and shows nothing that is half."""

from __future__ import annotations

import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.live.abilities import require_tracing
from tests.live.conftest import ServerFactory
from tests.live.server import SERVE, LiveServer, digest, wait_until
from tests.live.store_checks import faults

CLIENTS = 6

#: The sizes of uploads under load: within one write, and over many.
SIZES = (10, 3000, 70_000, 400_000)


@dataclass
class Acknowledged:
    """What clients were told was kept: receipts, and the contents of their uploads."""

    uploads: list[tuple[dict[str, Any], bytes]] = field(default_factory=list)

    def upload_until_it_dies(self, server: LiveServer, chance: random.Random) -> None:
        """Upload new and repeated contents until the server answers no more."""
        while True:
            if self.uploads and chance.random() < 0.3:
                content = chance.choice(self.uploads)[1]
            else:
                content = chance.randbytes(chance.choice(SIZES))
            try:
                self.uploads.append((server.upload(content), content))
            except OSError:
                return

    def losses(self, server: LiveServer, *, since: int = 0) -> list[str]:
        """What the server or its disk does not hold as it was acknowledged."""
        with ThreadPoolExecutor(CLIENTS) as clients:
            found = clients.map(lambda one: _losses(server, *one), self.uploads[since:])
            return [loss for each in found for loss in each]


def _losses(server: LiveServer, receipt: dict[str, Any], content: bytes) -> list[str]:
    upload, paths = receipt["upload"], receipt["path"]
    losses = [
        f"{path} of {upload['id']}"
        for path in (paths["blob"], f"{paths['upload']}/{upload['filename']}")
        if not (server.archive / path).is_file() or (server.archive / path).read_bytes() != content
    ]
    losses += [
        f"HEAD by {algorithm} of {upload['id']}"
        for algorithm in upload["digests"]
        if server.knows(digest(content, algorithm)) != 200
    ]
    if server.request("GET", f"/uploads/{upload['id']}").status != 200:
        losses.append(f"the record of {upload['id']}")
    return losses


@pytest.mark.parametrize("rounds", [6, pytest.param(50, marks=pytest.mark.long)])
def test_killing_it_at_any_moment_loses_nothing(servers: ServerFactory, rounds: int) -> None:
    chance = random.Random(20261121)
    server = servers.start()
    acknowledged = Acknowledged()
    for number in range(rounds):
        before = len(acknowledged.uploads)
        kill_under_load(server, acknowledged, random.Random(number), chance.uniform(0.05, 0.6))
        assert faults(server.archive) == [], f"after kill {number}"
        server.start()
        server.wait_for_empty_staging()
        wait_until(lambda: not dead_staging(server), seconds=10, what="dead staging is swept")
        assert acknowledged.losses(server, since=before) == [], f"after kill {number}"
    assert acknowledged.losses(server) == []
    assert len(acknowledged.uploads) > 5 * rounds


def kill_under_load(
    server: LiveServer, acknowledged: Acknowledged, chance: random.Random, seconds: float
) -> None:
    with ThreadPoolExecutor(CLIENTS) as clients:
        seeds = [random.Random(chance.random()) for _ in range(CLIENTS)]
        running = [
            clients.submit(acknowledged.upload_until_it_dies, server, seed) for seed in seeds
        ]
        # The moment is the point: it is drawn from a fixed seed, and is waited for.
        time.sleep(seconds)
        server.kill()
        for client in running:
            client.result()


def dead_staging(server: LiveServer) -> list[Path]:
    """Directories in staging of processes that do not live."""
    living = {str(pid) for pid in (server.pid, *server.workers())}
    staging = server.archive / "private" / "staging"
    return [path for path in staging.iterdir() if path.name.partition("-")[0] not in living]


def test_an_upload_is_on_disk_before_it_is_acknowledged(servers: ServerFactory) -> None:
    """The order of system calls: content, its name, the record, its name, then the answer."""
    trace_path = servers.directory / "trace"
    calls = "openat,linkat,link,rename,renameat,renameat2,fsync,fdatasync,fchmod,write,sendto,mkdir"
    tracing = [require_tracing(), "-D", "-f", "-y", "-e", f"trace={calls}", "-o", str(trace_path)]
    server = servers.start(command=[*tracing, *SERVE], WEB_CONCURRENCY="1", THREADS="1")
    content = random.Random(1).randbytes(300_000)
    receipt = server.upload(content)
    server.stop()
    trace = trace_path.read_text()
    assert re.search(r"write\(\d+<[^>]*/blob/", trace) is None
    assert unsynced_directories(trace, server.archive) == []
    names = steps_of_upload(trace, receipt)
    # What came before are answers to /ping.
    names = names[names.index("content written") :]
    assert last(names, "content written") < names.index("content synced")
    assert names.index("content synced") < names.index("blob named")
    assert names.index("blob named") < names.index("blob's directory synced")
    assert names.index("blob's directory synced") < names.index("upload named")
    assert names.index("record written") < names.index("record synced")
    assert names.index("record synced") < names.index("upload's directory synced aside")
    assert names.index("upload's directory synced aside") < names.index("upload named")
    assert names.index("upload named") < names.index("day's directory synced")
    assert names.index("day's directory synced") < names.index("answered")
    assert last(names, "content written") < names.index("blob named")


def last(names: list[str], name: str) -> int:
    return len(names) - 1 - names[::-1].index(name)


def unsynced_directories(trace: str, archive: Path) -> list[str]:
    """The public directories that were made, and whose parent was not synced afterwards."""
    return [
        made[1]
        for made in re.finditer(rf'mkdir\("({archive}/(?:blob|archive)/[^"]+)", 0755\) = 0', trace)
        if not re.search(rf"fsync\(\d+<{Path(made[1]).parent}>", trace[made.end() :])
    ]


def steps_of_upload(trace: str, receipt: dict[str, Any]) -> list[str]:
    """The steps of an upload, in the order of a trace by ``strace -f -y``."""
    upload, blob = receipt["upload"]["id"], receipt["upload"]["digests"]["sha256"]
    blobs, day = receipt["path"]["blob"].rpartition("/")[0], receipt["path"]["upload"][:18]
    aside = rf"/private/staging/[^/]+/{upload}"
    unnamed = r"/private/staging/#\d+(?: \(deleted\))?"
    patterns = {
        "content written": rf"write\(\d+<[^>]*{unnamed}",
        "content synced": rf"f(?:data)?sync\(\d+<[^>]*{unnamed}",
        "blob named": rf"link(?:at)?\(.*{blob}\"",
        "blob's directory synced": rf"fsync\(\d+<[^>]*/{blobs}>",
        "record written": rf"write\(\d+<[^>]*{aside}/\.upload\.json>",
        "record synced": rf"fsync\(\d+<[^>]*{aside}/\.upload\.json>",
        "upload's directory synced aside": rf"fsync\(\d+<[^>]*{aside}>",
        "upload named": rf"rename(?:at2?)?\(.*{upload}\".*{upload}\"",
        "day's directory synced": rf"fsync\(\d+<[^>]*/{day}>",
        "answered": r"sendto\(.*HTTP/1\.1 200",
    }
    return [
        name
        for line in trace.splitlines()
        for name, pattern in patterns.items()
        if re.search(pattern, line)
    ]
