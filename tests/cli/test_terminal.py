"""Progress: a bar on a terminal, lines elsewhere, and Ctrl-C, with the program as it is called."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import pytest

from httpbucket.cli import progress as module
from httpbucket.cli.progress import progress
from tests.cli.conftest import Store
from tests.live.server import SOURCE, wait_until

VERBS = (["collect", "--despite-lost-leases"], ["scrub"], ["reindex"])


def environ_of(store: Store, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), "TERM": "xterm"} | (
        store.environ | more
    )


def on_terminal(store: Store, arguments: Sequence[str], **more: str) -> tuple[int, str]:
    """The status, and what a person at the terminal sees."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "httpbucket", *arguments],
        env=environ_of(store, **more),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    # Linux ends the reading of a terminal that nobody holds any more with EIO.
    with suppress(OSError):
        while piece := os.read(ours, 65536):
            seen += piece
    os.close(ours)
    return process.wait(60), seen.decode()


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_terminal_shows_a_bar_to_its_end(store: Store, verb: list[str]) -> None:
    for number in range(3):
        store.upload(f"{number}".encode())
    status, seen = on_terminal(store, verb)
    assert status == 0
    assert "100%" in seen
    assert "Traceback" not in seen


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_pipe_gets_plain_lines(store: Store, verb: list[str]) -> None:
    store.upload(b"content")
    finished = subprocess.run(
        [sys.executable, "-m", "httpbucket", *verb],
        env=environ_of(store),
        check=True,
        capture_output=True,
        text=True,
    )
    assert finished.stderr == ""
    assert "\r" not in finished.stdout
    assert "\x1b" not in finished.stdout
    assert finished.stdout.endswith("\n")


def test_a_long_run_tells_now_and_then_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "LINE_SECONDS", 0.0)
    with progress("Reading", 4) as advance:
        advance(1)
        advance(2)
    with progress("Counting", 0) as advance:
        advance(1000)
    assert capsys.readouterr().err.splitlines() == [
        "Reading: 25 %",
        "Reading: 75 %",
        "Counting: 1,000",
    ]


def test_ctrl_c_ends_a_scrub_with_130_and_the_next_goes_on(store: Store) -> None:
    for number in range(8):
        store.upload(bytes([number]) * 64 * 1024)
    process = subprocess.Popen(
        [sys.executable, "-m", "httpbucket", "scrub", "--rate", "64kb"],
        env=environ_of(store),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Whoever runs the tests in the background has children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    note = store.layout.notes / "scrub-by-hand"
    wait_until(note.exists, seconds=30, what="the scrub begins")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")
    progress = store.services.scrub_by_hand.progress()
    assert progress is not None
    ended = store.call("scrub", "--json")
    assert ended.status == 0
    assert (ended.told["blobs"] < len(list(store.stores.blobs.digests()))) is (
        progress.last is not None
    )


def test_who_reads_no_more_ends_it_quietly(store: Store) -> None:
    record = store.upload(b"content")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "httpbucket",
            "why",
            str(record.uploaded and record.uploaded.blob.sha256),
        ],
        env=environ_of(store),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.wait(60) == 1
    assert process.stderr.read() == b""
    process.stderr.close()
