"""Downloads: one big file, small ones, ranges, a directory as a zip."""

from __future__ import annotations

import random

from tests.benchmark import bare, requests, stream
from tests.benchmark.replay import replay
from tests.benchmark.scale import KIB, Scale
from tests.benchmark.servers import SYNCED, Bucket
from tests.benchmark.work import Measured, Stage, Work

ZIP = "zip -0"

_RANGE_BYTES = 64 * KIB
_RANGES = 1000

_FROM = (SYNCED, "nginx", "Caddy", "docker-registry", "copyparty")


def works(scale: Scale) -> list[Work]:
    """All downloads."""
    big = f"{scale.big_bytes >> 20} MiB"
    smalls = [
        Work(
            f"get-small-{connections}",
            f"GET 10 KiB, {connections} connection{'s' * (connections > 1)}",
            "requests",
            _FROM,
            _Small(connections),
        )
        for connections in scale.connections
    ]
    directory = f"a directory of {scale.members:,} files as a zip"
    return [
        Work("get-first", f"GET {big}, right after its upload", "bytes", _FROM, _big),
        Work("get-big", f"GET {big}", "bytes", _FROM, _big_again),
        *smalls,
        Work("get-ranges", f"64 KiB ranges of {big}, 16 connections", "requests", _FROM, _ranges),
        Work("zip-directory", directory, "bytes", (SYNCED, "copyparty", ZIP), _zip),
    ]


def _big(stage: Stage, name: str) -> Measured:
    server = stage.server(name)
    seconds, size = stream.receive(server.port, requests.ask("GET", server.big_path))
    assert size == stage.contents.big.size
    return Measured(size, seconds)


def _big_again(stage: Stage, name: str) -> Measured:
    # From the disk or from memory, by how each server wrote it: that is a work of its own.
    _big(stage, name)
    stage.server(name).begin()
    return _big(stage, name)


class _Small:
    """Small contents in turn, again and again."""

    def __init__(self, connections: int) -> None:
        self._connections = connections

    def __call__(self, stage: Stage, name: str) -> Measured:
        server = stage.server(name)
        paths = [server.content_path(one.name, one.sha256) for one in stage.contents.kept]
        prepared = [requests.ask("GET", path) for path in paths]
        seconds = stage.scale.repeat_seconds
        answers = replay(server.port, prepared, self._connections, seconds=seconds).expect(200)
        assert answers.body_bytes == answers.count * len(stage.contents.kept[0].content)
        return Measured(answers.count, answers.seconds)


def _ranges(stage: Stage, name: str) -> Measured:
    server, chance = stage.server(name), random.Random(stage.round)
    starts = [chance.randrange(stage.contents.big.size - _RANGE_BYTES) for _ in range(_RANGES)]
    prepared = [
        requests.ask("GET", server.big_path, Range=f"bytes={start}-{start + _RANGE_BYTES - 1}")
        for start in starts
    ]
    seconds = stage.scale.repeat_seconds
    answers = replay(server.port, prepared, 16, seconds=seconds).expect(206)
    assert answers.body_bytes == answers.count * _RANGE_BYTES
    return Measured(answers.count, answers.seconds)


def _zip(stage: Stage, name: str) -> Measured:
    if name == ZIP:
        place = stage.place("zip-directory")
        bare.shell(f"tar xzf {stage.contents.archives['tgz']}", place)
        seconds = bare.shell("zip -0 -q -r ../directory.zip report", place)
        return Measured((place.parent / "directory.zip").stat().st_size, seconds)
    server = stage.server(name)
    path = "/pages/report?zip"
    if isinstance(server, Bucket):
        form = requests.upload_form("many.tgz", stage.contents.archives["tgz"].read_bytes())
        kept = server.receipt(stream.exchange(server.port, form).expect(200))
        path = f"/{kept['path']['archive']}/?zip"
    server.begin()
    seconds, size = stream.receive(server.port, requests.ask("GET", path))
    return Measured(size, seconds)
