"""A process that collects, expires and scrubs a store without pause: `Upkeep`.

Run as a program it does so until SIGTERM, by a clock that is two days ahead for expiry, and then
tells in one line of JSON what it did.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

from httpbucket.config import Settings
from httpbucket.domain.errors import IndexNotReady
from httpbucket.wiring import Services, build, open_local
from tests.live.server import STOP_SECONDS, LiveServer

ROOT = Path(__file__).parents[2]


class Upkeep:
    """The process, on the store of a server and with its settings."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self._log_path = server.directory / "upkeep.log"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start, and wait until it can be told to end."""
        environ = self._server.environ
        environ["PYTHONPATH"] = f"{environ['PYTHONPATH']}:{ROOT}"
        with self._log_path.open("a") as log:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "tests.live.upkeep"),
                env=environ,
                cwd=self._server.directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "begun\n", self._log_path.read_text()

    def stop(self) -> Counter[str]:
        """End it; how often it did what."""
        process = self._started()
        process.terminate()
        told, _ = process.communicate(timeout=STOP_SECONDS)
        self._process = None
        assert process.returncode == 0, self._log_path.read_text()
        return Counter(json.loads(told))

    def kill(self) -> None:
        """As ``kill -9``; it has to be running still."""
        process = self._started()
        assert process.poll() is None, self._log_path.read_text()
        process.kill()
        process.communicate()
        self._process = None

    def __enter__(self) -> Upkeep:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    @property
    def rss(self) -> int:
        """Its resident memory in bytes."""
        return rss(self._started().pid)

    def _started(self) -> subprocess.Popen[str]:
        assert self._process is not None, "the upkeep was not started"
        return self._process


def rss(pid: int) -> int:
    """The resident memory of a process, in bytes."""
    (line,) = (
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    )
    return int(line.split()[1]) * 1024


class _Work:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._is_ended = False
        self.done: Counter[str] = Counter()

    def end(self, number: int, frame: FrameType | None) -> None:
        self._is_ended = True

    def go_on(self) -> None:
        while not self._is_ended:
            try:
                self._once()
            except IndexNotReady:
                self.done["not ready"] += 1
                time.sleep(0.05)

    def _once(self) -> None:
        now = datetime.now(UTC)
        expired = self._services.expire.run(now + timedelta(days=2), may_go_on=self._may_go_on)
        collected = self._services.collect.run(
            now + timedelta(seconds=2), may_go_on=self._may_go_on, despite_lost_leases=True
        )
        scrubbed = self._services.scrub.run(may_go_on=lambda digest: self._may_go_on())
        assert (scrubbed.rotten, scrubbed.misdescribed) == ([], [])
        self.done += Counter(
            rounds=1,
            expired=expired.uploads,
            collected=collected.blobs,
            scrubbed=scrubbed.blobs,
        )

    def _may_go_on(self) -> bool:
        return not self._is_ended


def main() -> None:
    settings = Settings.from_environ(os.environ)
    work = _Work(build(settings, open_local(settings)))
    signal.signal(signal.SIGTERM, work.end)
    print("begun", flush=True)
    work.go_on()
    print(json.dumps(work.done))


if __name__ == "__main__":
    main()
