"""A process that makes files and links beside this one, and what is done where it does not."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from httpbucket.storage.local.scribe import Scribe, Scribes, Task, Work, has_second_processor
from tests.live.server import wait_until
from tests.processes import waiting_child


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def files(lock: int) -> Iterator[Scribe]:
    """A scribe that makes files."""
    with Scribes().at_work(Work.FILES, lock) as scribe:
        assert scribe
        yield scribe


@pytest.fixture
def links(lock: int) -> Iterator[Scribe]:
    """A scribe that makes links."""
    with Scribes().at_work(Work.LINKS, lock) as scribe:
        assert scribe
        yield scribe


def give_all(scribe: Scribe, tasks: list[Task]) -> list[str]:
    """The names of those tasks that are left to who gives them."""
    left = [task.name for task in tasks if not scribe.give(task)]
    scribe.finish()
    return left + [task.name for task in scribe.take_undone()]


def test_files_have_their_content_and_the_mode_of_blobs(files: Scribe, tmp_path: Path) -> None:
    contents = {"one": b"1", "large": b"x" * 60_000, "empty": b""}
    assert give_all(files, [Task(n, str(tmp_path / n), c) for n, c in contents.items()]) == []
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in contents} == {0o444}


def test_what_is_in_the_way_stays_and_the_task_is_given_back(files: Scribe, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"was there")
    (tmp_path / "directory").mkdir()
    names = ["new", "file", "directory", "file/below", "missing/below", "n" * 300, "last"]
    given_back = give_all(files, [Task(name, str(tmp_path / name), b"x") for name in names])
    assert given_back == names[1:-1]
    assert (tmp_path / "file").read_bytes() == b"was there"
    assert not files.is_dead


def test_links_are_made_with_the_directories_above(links: Scribe, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x")
    targets = [tmp_path / "ab/cd/1", tmp_path / "ab/ef/2", tmp_path / "ab/cd/3", tmp_path / "4"]
    tasks = [Task(path.name, str(path), str(tmp_path / "source")) for path in targets]
    assert give_all(links, tasks) == []
    assert all(path.samefile(tmp_path / "source") for path in targets)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("ab/**/")}
    assert modes == {0o755}


def test_a_link_that_cannot_be_is_given_back(links: Scribe, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x")
    (tmp_path / "there").write_bytes(b"y")
    tasks = [
        Task("taken", str(tmp_path / "there"), str(tmp_path / "source")),
        Task("of nothing", str(tmp_path / "new"), str(tmp_path / "nothing")),
    ]
    assert give_all(links, tasks) == ["taken", "of nothing"]
    assert (tmp_path / "there").read_bytes() == b"y"


def test_names_that_are_no_unicode_are_those_that_were_given(files: Scribe, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    assert give_all(files, [Task(name, f"{tmp_path}/{name}", b"x")]) == []
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9"]  # noqa: PTH208


def test_paths_come_as_bytes_because_the_other_process_may_encode_names_otherwise(
    tmp_path: Path, lock: int
) -> None:
    program, told = tmp_path / "program.py", tmp_path / "told"
    program.write_text(
        "import marshal, pathlib, sys; "
        f"pathlib.Path({str(told)!r}).write_text(ascii(marshal.load(sys.stdin.buffer)))"
    )
    with Scribes(program=program).at_work(Work.LINKS, lock) as scribe:
        assert scribe
        assert scribe.give(Task("one", "é", "ü"))
        scribe.finish()
    assert told.read_text() == ascii([(os.fsencode("é"), os.fsencode("ü"))])


def test_pipes_may_be_smaller_than_what_is_sent_at_once(
    tmp_path: Path, lock: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on macOS.
    monkeypatch.delattr(fcntl, "F_SETPIPE_SZ")
    with Scribes().at_work(Work.FILES, lock) as scribe:
        assert scribe
        tasks = [Task(str(n), f"{tmp_path}/{n}", b"x" * 60_000) for n in range(8)]
        left = give_all(scribe, tasks)
    assert {path.name for path in tmp_path.iterdir()} == {task.name for task in tasks} - {*left}


def test_who_is_faster_than_the_scribe_is_not_held_up(tmp_path: Path, lock: int) -> None:
    idle = tmp_path / "idle.py"
    idle.write_text("import signal; signal.pause()")
    with Scribes(program=idle).at_work(Work.FILES, lock) as scribe:
        assert scribe
        tasks = (Task(str(n), f"{tmp_path}/{n}", b"x" * 60_000) for n in count())
        taken = [task for task in zip(range(10), tasks, strict=False) if scribe.give(task[1])]
        # Two in each of the bundles that wait for an answer.
        assert len(taken) == 8


@pytest.mark.parametrize("fault", ["killed", "ended", "nonsense"])
def test_all_that_was_not_answered_for_is_given_back(tmp_path: Path, lock: int, fault: str) -> None:
    program = tmp_path / "program.py"
    text = {"killed": "import signal; signal.pause()", "ended": "", "nonsense": "print('nonsense')"}
    program.write_text(text[fault])
    with Scribes(program=program).at_work(Work.FILES, lock) as scribe:
        assert scribe
        names = [str(number) for number in range(20)]
        tasks = [Task(name, f"{tmp_path}/{name}", b"x" * 20_000) for name in names]
        left = [task.name for task in tasks[:10] if not scribe.give(task)]
        if fault == "killed":
            scribe.process.kill()
        assert sorted(left + give_all(scribe, tasks[10:]), key=int) == names
        assert scribe.is_dead
        assert scribe.process.returncode is not None


def test_there_is_one_at_a_time(lock: int) -> None:
    scribes = Scribes()
    with scribes.at_work(Work.FILES, lock) as first, scribes.at_work(Work.FILES, lock) as second:
        assert (first is not None, second) == (True, None)
    with scribes.at_work(Work.FILES, lock) as third:
        assert third


def test_where_none_can_be_started_there_is_none(
    lock: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scribes = Scribes()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/nowhere/python")
        assert scribes.start(Work.FILES, lock) is None
    with scribes.at_work(Work.FILES, lock) as scribe:
        assert scribe


def test_what_goes_wrong_at_a_start_is_not_in_the_way_of_the_next(
    lock: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise MemoryError

    scribes = Scribes()
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", none_left)
        with pytest.raises(MemoryError):
            scribes.start(Work.FILES, lock)
    with scribes.at_work(Work.FILES, lock) as scribe:
        assert scribe


def test_with_one_processor_there_is_no_second(monkeypatch: pytest.MonkeyPatch) -> None:
    for processors in ({0}, {3, 5}):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process, found=processors: found)
        assert has_second_processor() == (len(processors) == 2)


def test_it_ends_with_the_process_that_started_it(tmp_path: Path, lock: int) -> None:
    def start() -> None:
        scribe = Scribes().start(Work.FILES, lock)
        assert scribe
        scribe.give(Task("one", str(tmp_path / "one"), b"1"))
        scribe.finish()
        (tmp_path / "pid").write_text(str(scribe.process.pid))

    with waiting_child(start):
        process = Path("/proc", (tmp_path / "pid").read_text())
        assert process.exists()
    wait_until(lambda: not is_running(process), seconds=20, what="the scribe is gone")


def is_running(process: Path) -> bool:
    """Whether the process is there, other than as one that nobody asked how it ended."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
