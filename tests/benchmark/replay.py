"""The load: prepared requests, sent by ``replay.c``, or without a compiler by ``slow_replay.py``.

wrk would do for small downloads, but not for the rest: it waits for the body that the answer to a
HEAD announces, and builds every upload anew in Lua.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmark.machine import pinned

_LONGEST_SECONDS = 900


@dataclass(frozen=True)
class Answers:
    """What came back."""

    seconds: float
    body_bytes: int
    #: Connections that the server closed without an answer.
    lost: int
    statuses: dict[int, int]

    @property
    def count(self) -> int:
        return sum(self.statuses.values())

    def expect(self, *statuses: int) -> Answers:
        """These answers; raises ValueError when there are others."""
        if not set(self.statuses) <= set(statuses) or not self.statuses:
            raise ValueError(f"answered {self.statuses}, not {statuses}")
        return self


def replay(
    port: int, requests: Iterable[bytes], connections: int, *, seconds: float = 0
) -> Answers:
    """Send each request once, or all of them in turn again and again for ``seconds``."""
    with tempfile.NamedTemporaryFile(dir=_place()) as prepared:
        for request in requests:
            prepared.write(struct.pack("=I", len(request)) + request)
        prepared.flush()
        arguments = [str(port), str(connections), prepared.name, str(seconds)]
        done = subprocess.run(
            pinned([*client(), *arguments], client=True),
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    if done.returncode:
        raise ValueError(f"the client failed: {done.stderr.strip()}")
    return _answers(done.stdout)


def _answers(text: str) -> Answers:
    first, *lines = text.splitlines()
    took, body_bytes, lost = first.split()
    statuses = {int(status): int(count) for status, count in map(str.split, lines)}
    return Answers(float(took), int(body_bytes), int(lost), statuses)


@functools.cache
def _place() -> str:
    """A directory for the compiled program and the requests, as long as this process lives."""
    directory = tempfile.TemporaryDirectory(prefix="http-bucket-benchmark-")
    atexit.register(directory.cleanup)
    return directory.name


@functools.cache
def client() -> list[str]:
    """The command of the client, compiled where that is possible."""
    here = Path(__file__).parent
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return [sys.executable, str(here / "slow_replay.py")]
    program = f"{_place()}/replay"
    subprocess.run([compiler, "-O2", "-o", program, str(here / "replay.c")], check=True)
    return [program]
