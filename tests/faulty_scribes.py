"""Scribes one of whose calls to the system fails, or ends them."""

from __future__ import annotations

from pathlib import Path

from httpbucket.storage.local import scribe_program
from httpbucket.storage.local.scribe import Scribes

#: What may happen at a call: the system refuses it, or the process is killed there.
FAULTS = {
    "no room": "raise OSError(errno.ENOSPC, 'no space left on device')",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
}

_PROGRAM = """
import errno, os, runpy, signal, sys

calls = 0

def faulty(name, call):
    def counted(*arguments, **options):
        global calls
        calls += 1
        if calls != {failing}:
            return call(*arguments, **options)
        if name == "write":
            # As a disk that fills up does, or as a process is found that is killed there.
            call(arguments[0], arguments[1][: len(arguments[1]) // 2])
        open({marker!r}, "w").close()
        {fault}
    return counted

for name in ("open", "write", "mkdir", "chmod", "link"):
    setattr(os, name, faulty(name, getattr(os, name)))
runpy.run_path({program!r}, run_name="__main__")
"""


class FaultyScribes(Scribes):
    """The call with this number, from 1 on, fails in each process."""

    def __init__(self, directory: Path, failing: int, fault: str, *, least: int = 1) -> None:
        directory.mkdir()
        self._marker = directory / "failed"
        program = directory / "program.py"
        text = _PROGRAM.format(
            failing=failing,
            fault=fault,
            marker=str(self._marker),
            program=scribe_program.__file__,
        )
        program.write_text(text)
        super().__init__(least=least, program=program)

    @property
    def has_failed(self) -> bool:
        """Whether so many calls were made at all."""
        return self._marker.exists()
