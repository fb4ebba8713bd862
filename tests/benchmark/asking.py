"""Questions: is it there? One by one, and a hundred thousand at once."""

from __future__ import annotations

import hashlib
import io
import tarfile

from tests.benchmark import requests, stream
from tests.benchmark.replay import replay
from tests.benchmark.scale import Scale
from tests.benchmark.servers import SYNCED, Bucket
from tests.benchmark.work import Measured, Stage, Work

_ASKED = (SYNCED, "nginx", "Caddy", "docker-registry", "copyparty")

_UNKNOWN = 1000

_MANY = "Many digests in one question, all known"
#: So many clients ask for many digests at once, for one alone keeps only one worker at work.
AT_ONCE = 8


def works(scale: Scale) -> list[Work]:
    """Single questions, on as many connections as the scale says."""
    return [
        Work(
            key=f"head-{what}-{connections}",
            title=f"HEAD, content {what}, {_connections(connections)}",
            unit="requests",
            contestants=_ASKED,
            measure=_Heads(known=what == "known", connections=connections),
        )
        for what in ("known", "unknown")
        for connections in scale.connections
    ]


def works_of_many() -> list[Work]:
    """Questions for many digests at once; who is asked unpacks what they are of."""
    return [
        Work("batch-known", f"{_MANY}, 1 connection", "digests", (SYNCED,), _many),
        Work(
            f"batch-known-{AT_ONCE}",
            f"{_MANY}, {_connections(AT_ONCE)}",
            "digests",
            (SYNCED,),
            _many_at_once,
        ),
    ]


def _connections(count: int) -> str:
    return f"{count} connection{'s' * (count > 1)}"


class _Heads:
    """HEADs for contents in turn, again and again."""

    def __init__(self, *, known: bool, connections: int) -> None:
        self._known = known
        self._connections = connections

    def __call__(self, stage: Stage, name: str) -> Measured:
        server = stage.server(name)
        asked = [(one.name, one.sha256) for one in stage.contents.kept]
        if not self._known:
            unknown = (b"unknown %d" % number for number in range(_UNKNOWN))
            asked = [("no-" + one.hex(), hashlib.sha256(one).hexdigest()) for one in unknown]
        prepared = [requests.ask("HEAD", server.question_path(*one)) for one in asked]
        seconds = stage.scale.repeat_seconds
        answers = replay(server.port, prepared, self._connections, seconds=seconds)
        answers.expect(200 if self._known else 404)
        return Measured(answers.count, answers.seconds)


def _many(stage: Stage, name: str) -> Measured:
    server = stage.bucket(name)
    question = _question(stage, server)
    server.begin()
    answer = stream.exchange(server.port, question).expect(200)
    assert answer.body == b"", "they are all there"
    return Measured(stage.scale.asked_digests, answer.seconds)


def _many_at_once(stage: Stage, name: str) -> Measured:
    server = stage.bucket(name)
    question = _question(stage, server)
    server.begin()
    seconds = stage.scale.repeat_seconds
    answers = replay(server.port, [question], AT_ONCE, seconds=seconds).expect(200)
    assert answers.body_bytes == 0, "they are all there"
    return Measured(stage.scale.asked_digests * answers.count, answers.seconds)


def _question(stage: Stage, server: Bucket) -> bytes:
    """Are they there? They are, at least once this was asked."""
    contents = [b"content %d" % number for number in range(stage.scale.asked_digests)]
    sums = [f"{hashlib.sha256(one).hexdigest()}  {one.decode()}\n" for one in contents]
    question = requests.send("POST", "/checksum", "".join(sums).encode())
    if stream.exchange(server.port, question).expect(200).body:
        form = requests.upload_form("all.tar", _tar_of(contents))
        kept = stream.exchange(server.port, form).expect(200)
        assert server.receipt(kept)["path"]["archive"]
    return question


def _tar_of(contents: list[bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number, content in enumerate(contents):
            member = tarfile.TarInfo(f"{number // 200}/{number}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
