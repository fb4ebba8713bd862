"""Questions: is it there? One by one, and a hundred thousand at once."""

from __future__ import annotations

import hashlib
import io
import tarfile

from tests.benchmark import requests, stream
from tests.benchmark.replay import replay
from tests.benchmark.scale import Scale
from tests.benchmark.servers import SYNCED
from tests.benchmark.work import Measured, Stage, Work

_ASKED = (SYNCED, "nginx", "Caddy", "docker-registry", "copyparty")

_UNKNOWN = 1000


def works(scale: Scale) -> list[Work]:
    """All questions, on as many connections as the scale says."""
    ones = [
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
    return [
        *ones,
        Work("batch-known", "Many digests in one question, all known", "digests", (SYNCED,), _many),
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
    contents = [b"content %d" % number for number in range(stage.scale.asked_digests)]
    form = requests.upload_form("all.tar", _tar_of(contents))
    kept = stream.exchange(server.port, form).expect(200)
    assert server.receipt(kept)["path"]["archive"]
    sums = [f"{hashlib.sha256(one).hexdigest()}  {one.decode()}\n" for one in contents]
    question = requests.send("POST", "/checksum", "".join(sums).encode())
    server.begin()
    answer = stream.exchange(server.port, question).expect(200)
    assert answer.body == b"", "they are all there"
    return Measured(len(sums), answer.seconds)


def _tar_of(contents: list[bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number, content in enumerate(contents):
            member = tarfile.TarInfo(f"{number // 200}/{number}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
