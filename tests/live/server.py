"""A real server, started as users start it: `LiveServer`."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.live.wire import Answer, Wire, multipart

SOURCE = Path(__file__).parents[2] / "assets" / "src"

SERVE = (sys.executable, "-m", "httpbucket", "serve")

#: Guards only: far beyond what a loaded machine takes.
START_SECONDS = 30.0
STOP_SECONDS = 60.0


class LiveServer:
    """A server on a free port of the loopback interface, with a store of its own.

    As a context manager it starts, waits until ``/ping`` answers, and is gone at the end with all
    of its processes. Its output is in ``log`` and is printed at the end, for pytest to show when a
    test fails. It can be started again after `stop` and `kill`, on the same port and store.
    """

    def __init__(
        self,
        directory: Path,
        *,
        command: Sequence[str] = SERVE,
        source: Path = SOURCE,
        workplace: Path | None = None,
        umask: int = -1,
        **settings: str,
    ) -> None:
        self.directory = directory
        self.archive = Path(settings.pop("ARCHIVE_DIR", str(directory / "archive")))
        self._ports = settings.pop("PORT", "") or str(free_port())
        self.port = int(self._ports.partition(",")[0])
        self._command = command
        self._source = source
        self._workplace = workplace or directory
        self._umask = umask
        self.settings = settings
        self._log_path = directory / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        host = "[::1]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}{self._prefix}"

    @property
    def log(self) -> str:
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    @property
    def pid(self) -> int:
        """The master process, whose process group holds all of the server's."""
        assert self._process is not None, "the server was not started"
        return self._process.pid

    @property
    def environ(self) -> dict[str, str]:
        """What the server sees: nothing of the tests' own settings."""
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(self._source),
            "HOST": "127.0.0.1",
            "PORT": self._ports,
            "ARCHIVE_DIR": str(self.archive),
            **self.settings,
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._process is not None:
                self.stop()
        finally:
            print(f"--- log of the server on port {self.port}\n{self.log}---")

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.launch()
        try:
            wait_until(self._answers, seconds=START_SECONDS, what="the server answers /ping")
        except BaseException:
            self.kill()
            raise

    def launch(self) -> None:
        """Start without waiting."""
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self.environ,
                cwd=self._workplace,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=self._umask,
            )

    def stop(self) -> int:
        """End it gracefully; the exit status. Whatever does not end is killed, and a failure."""
        process = self._started()
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOP_SECONDS)
            wait_until(self._has_no_processes, seconds=STOP_SECONDS, what="the workers end")
        finally:
            self.kill()
        return status

    def kill(self) -> None:
        """End all of its processes at once, as ``kill -9`` and the out-of-memory killer do."""
        process = self._started()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        wait_until(self._has_no_processes, seconds=STOP_SECONDS, what="the killed server is gone")
        self._process = None

    def wait(self) -> int:
        """Wait for the server to end by itself; the exit status."""
        return self._started().wait(STOP_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the master."""
        self._started().send_signal(number)

    def workers(self) -> list[int]:
        """The worker processes."""
        return [pid for pid, parent in processes_in_group(self.pid) if parent == self.pid]

    def connect(self, *, seconds: float = 30.0) -> Wire:
        """A connection, to say byte by byte what is sent on it."""
        return Wire(socket.create_connection((self._host, self.port), timeout=seconds))

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask on a connection of its own."""
        with self.connect(seconds=STOP_SECONDS) as wire:
            wire.send_request(method, path, body, {"Connection": "close", **(headers or {})})
            return wire.receive_answer(method)

    def upload(
        self, content: bytes, filename: str = "results.xml", **headers: str
    ) -> dict[str, Any]:
        """Upload, and return the receipt."""
        body, kind = multipart(content, filename)
        headers = headers | {"Content-Type": kind}
        answer = self.request("POST", f"{self._prefix}/upload", body, headers)
        assert answer.status == 200, answer
        receipt: dict[str, Any] = json.loads(answer.body)
        return receipt

    def knows(self, digest: str) -> int:
        """The status of ``HEAD /checksum/<digest>``."""
        return self.request("HEAD", f"{self._prefix}/checksum/{digest}").status

    def wait_for_empty_staging(self) -> None:
        """Wait until nothing is left in staging; workers that start write a probe there."""
        try:
            wait_until(lambda: not self.staged_names(), seconds=10, what="staging is empty")
        except AssertionError as error:
            raise AssertionError(f"{error}, but for {self.staged_names()}") from None

    def staged_names(self) -> list[Path]:
        """What lies in staging, besides the directories that living workers hold."""
        staging = self.archive / "private" / "staging"
        # os.walk passes over what goes meanwhile.
        return [
            Path(place, name)
            for place, directories, files in os.walk(staging)
            for name in (*files, *(directories if Path(place) != staging else ()))
        ]

    def open_files(self) -> list[str]:
        """What the workers' descriptors are open on: paths, sockets and the like."""
        targets = []
        for pid in self.workers():
            with suppress(FileNotFoundError):
                for link in Path(f"/proc/{pid}/fd").iterdir():
                    with suppress(FileNotFoundError):
                        targets.append(str(link.readlink()))
        return targets

    def is_receiving(self) -> bool:
        """Whether a file is on its way in."""
        return any("/private/staging/" in target and "#" in target for target in self.open_files())

    @property
    def _host(self) -> str:
        """Where tests reach it, wherever it listens."""
        return "::1" if ":" in self.settings.get("HOST", "") else "127.0.0.1"

    @property
    def _prefix(self) -> str:
        return self.settings.get("SCRIPT_NAME", "")

    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server was not started"
        return self._process

    def _answers(self) -> bool:
        process = self._started()
        if process.poll() is not None:
            raise AssertionError(f"exit status {process.returncode} at start:\n{self.log}")
        with suppress(OSError):
            return self.request("GET", f"{self._prefix}/ping").body == b"pong\n"
        return False

    def _has_no_processes(self) -> bool:
        return not processes_in_group(self.pid)


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(is_so: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Ask again and again until it is so; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain until {what}"
        time.sleep(0.02)


def digest(content: bytes, algorithm: str = "sha256") -> str:
    """The hex digest of a content."""
    return hashlib.new(algorithm, content).hexdigest()


def processes_in_group(group: int) -> list[tuple[int, int]]:
    """The id and the parent's id of every living process of a process group."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The command's name, in brackets, may hold anything.
            state, parent, its_group = status.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append((int(status.parent.name), int(parent)))
    return found
