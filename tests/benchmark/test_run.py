"""The benchmark itself, at its smallest and against ours only."""

from __future__ import annotations

import http.server
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.benchmark import replay as replaying
from tests.benchmark import rounds
from tests.benchmark.replay import client, replay
from tests.benchmark.requests import ask, send
from tests.benchmark.scale import SMOKE
from tests.benchmark.servers import SYNCED, UNSYNCED, Bucket, NotOffered, UnsyncedBucket
from tests.benchmark.work import Measured, Stage, Work
from tests.benchmark.works import all_works

QUICKEST = ("head-", "batch-", "form-small-8", "tar-small", "get-", "again-tgz", "bare-", "zip-")

SLOW_CLIENT = [sys.executable, str(Path(replaying.__file__).parent / "slow_replay.py")]


def _say(_: str) -> None:
    """Nothing."""


def test_the_quickest_works_are_measured_of_ours(tmp_path: Path) -> None:
    works = [work for work in all_works(SMOKE) if work.key.startswith(QUICKEST)]
    results = rounds.run(tmp_path, SMOKE, works, (Bucket, UnsyncedBucket), say=_say)
    assert [what for what in results.left_out if "zip -0" not in what] == []
    measured = {work.key: results.contestants(work.key) for work in works}
    assert measured["head-known-4"] == [SYNCED]
    assert sorted(measured["form-small-8"]) == sorted([SYNCED, UNSYNCED])
    missing = [key for key, names in measured.items() if not names]
    assert missing == []
    assert results.rate("head-known-4", SYNCED)
    assert results.peak_bytes("head-known-4", SYNCED)
    assert list(tmp_path.glob("round-*")) == []


def test_a_work_that_fails_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    def fail(stage: Stage, name: str) -> Measured:
        raise ValueError(f"no luck below {stage.directory}/a.txt")

    def refuse(stage: Stage, name: str) -> Measured:
        raise NotOffered("not yet")

    def do(stage: Stage, name: str) -> Measured:
        return Measured(2, 1)

    works = [
        Work(key, key, "files", ("bare",), how)
        for key, how in {"fails": fail, "refuses": refuse, "works": do}.items()
    ]
    results = rounds.run(tmp_path, SMOKE, works, (), say=_say)
    assert results.left_out == [
        "fails, bare, failed: ValueError: no luck below a.txt",
        "refuses: not yet",
    ]
    assert [sample.work for sample in results.samples] == ["works"]


class _Echo(http.server.BaseHTTPRequestHandler):
    """Answers 404 to HEAD, with a length and no body, and 201 to PUT, with what was sent."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "1000")
        self.end_headers()

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        elif self.path == "/closed":
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@contextmanager
def _echo() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(params=["compiled", "slow"])
def _either_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "slow":
        monkeypatch.setattr(replaying, "client", lambda: SLOW_CLIENT)
    elif client() == SLOW_CLIENT:
        pytest.skip("there is no compiler")


@pytest.mark.usefixtures("_either_client")
class TestReplay:
    """Both clients send the same and count the same."""

    @pytest.mark.parametrize("path", ["/plain", "/chunked", "/closed"])
    def test_each_request_is_sent_once_and_counted(self, path: str) -> None:
        with _echo() as port:
            answers = replay(port, [send("PUT", path, b"x" * 100_000)] * 20, 3)
        assert answers.statuses == {201: 20}
        assert answers.body_bytes >= 20 * 100_000
        assert answers.lost == 0

    def test_a_head_has_no_body_whatever_its_length_says(self) -> None:
        with _echo() as port:
            answers = replay(port, [ask("HEAD", "/")] * 5, 2)
        assert (answers.statuses, answers.body_bytes) == ({404: 5}, 0)

    def test_requests_are_repeated_until_the_time_is_over(self) -> None:
        with _echo() as port:
            # On a machine with much to do the shorter times may be over with the first answers.
            counts = (
                replay(port, [ask("HEAD", "/")], 2, seconds=time).count for time in (0.1, 1, 10)
            )
            assert any(count > 2 for count in counts)

    def test_an_answer_that_was_not_expected_is_an_error(self) -> None:
        with _echo() as port:
            answers = replay(port, [ask("HEAD", "/")], 1)
        with pytest.raises(ValueError, match="404"):
            answers.expect(200)
