"""What a kernel or a sandbox may not let us do; a test that needs it is skipped by its name."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.tools import require_tool

#: Runs a shell line where mounts are its own; the line is to end in ``exec "$@"``.
_OWN_MOUNTS = ("unshare", "--mount", "--map-root-user")

_NOBODY = 65534


def command_with_own_mounts(line: str, command: Sequence[str]) -> list[str]:
    """``command``, run after ``line`` has mounted what it likes, seen by nobody else."""
    require_tool("unshare", package="util-linux")
    if not _runs([*_OWN_MOUNTS, "mount", "-t", "tmpfs", "none", "/mnt"]):
        pytest.skip("missing ability: mounting in a namespace of one's own (unshare --mount)")
    return [*_OWN_MOUNTS, "sh", "-euc", f'{line}; exec "$@"', "sh", *command]


def command_as_nobody() -> list[str]:
    """Serve as a user without rights, who need not be able to read Python or our source.

    Hence all that the start imports is imported before the rights are given up.
    """
    if os.geteuid() != 0:
        pytest.skip("missing ability: becoming another user (needs root)")
    become = (
        "import codecs, os; codecs.lookup('ascii'); codecs.lookup('idna'); "
        "import httpbucket.server.serve; from httpbucket.cli.main import main; "
        f"os.setgroups([]); os.setgid({_NOBODY}); os.setuid({_NOBODY}); "
        "raise SystemExit(main(['serve']))"
    )
    return [sys.executable, "-c", become]


def require_tracing() -> str:
    """The path of ``strace``, where it may trace."""
    strace = require_tool("strace")
    if not _runs([strace, "-f", "-o", "/dev/null", "true"]):
        pytest.skip("missing ability: tracing system calls (ptrace)")
    return strace


@functools.cache
def require_attaching() -> str:
    """The path of ``strace``, where it may attach to a process that it did not start."""
    strace = require_tracing()
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        attach = [strace, "-o", "/dev/null", "-e", "trace=none", "-p", str(sleeping.pid)]
        try:
            told = subprocess.run(
                ["timeout", "-s", "INT", "0.2", *attach], check=False, capture_output=True
            ).stderr
            may = b"attached" in told
        finally:
            sleeping.kill()
    if not may:
        pytest.skip("missing ability: tracing a running process (kernel.yama.ptrace_scope)")
    return strace


def _runs(command: Sequence[str]) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
