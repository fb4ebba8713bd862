"""Uploads: one big file, many small ones on several connections, many in one request."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from tests.benchmark import bare, requests, stream
from tests.benchmark.contents import Content, small_contents, small_reports, tar_of
from tests.benchmark.peers import Registry
from tests.benchmark.replay import replay
from tests.benchmark.scale import Scale
from tests.benchmark.servers import SHA256, SYNCED, UNSYNCED, UNSYNCED_SHA256, NotOffered, Server
from tests.benchmark.work import Measured, Stage, Work

IN_MEMORY = "md5, sha256, sha512 in memory"
BARE = "bare system calls, 8 threads"
BARE_UNSYNCED = "bare system calls, 8 threads, no fsync"

_OURS = (SYNCED, UNSYNCED)
_ALL_OURS = (UNSYNCED_SHA256, SHA256, UNSYNCED, SYNCED)
_PEERS = ("nginx", "docker-registry", "copyparty")

_seeds = count(100)


def works(scale: Scale) -> list[Work]:
    """All uploads."""
    big = f"{scale.big_bytes >> 20} MiB"
    small = f"{scale.small_uploads:,} × 10 KiB"
    every = (*_OURS, *_PEERS)
    # On one connection docker-registry alone would take as long as all the others.
    fast = (*_OURS, "nginx", "copyparty")
    bares = (BARE, BARE_UNSYNCED)
    one, eight = "1 connection", "8 connections"
    return [
        Work("put-big", f"PUT {big}", "bytes", (*_ALL_OURS, *_PEERS), _put_big, True),
        Work("form-big", f"multipart {big}", "bytes", _ALL_OURS, _form_big, True),
        Work("hash-big", f"the digests of {big}", "bytes", (IN_MEMORY,), _hash_big),
        Work("put-small-1", f"PUT {small}, {one}", "files", fast, _Small(_put, 1), True),
        Work("put-small-8", f"PUT {small}, {eight}", "files", every, _Small(_put, 8), True),
        Work("form-small-1", f"multipart {small}, {one}", "files", _OURS, _Small(_form, 1), True),
        Work("form-small-8", f"multipart {small}, {eight}", "files", _OURS, _Small(_form, 8), True),
        Work(
            "xml-small-8",
            f"PUT {small} of XML, {eight}",
            "files",
            _OURS,
            _Small(_put, 8, xml=True),
            True,
        ),
        Work("bare-small", f"writing {small}", "files", bares, _bare_small, True),
        Work("tar-small", f"{small} as one tar", "files", _OURS, _tar, True),
        Work("parts-small", f"{small} as parts of one form", "files", _OURS, _parts, True),
    ]


def _put_big(stage: Stage, name: str) -> Measured:
    server, big, number = stage.server(name), stage.contents.big, stage.number(1)
    if isinstance(server, Registry):
        seconds = server.push_big(stage.contents, number, big.sha256(number))
    else:
        head = server.raw_upload(f"big-{number}.bin", big.size) + big.first_line(number)
        seconds = stream.send_file(server.port, head, big.rest).expect(200, 201, 204).seconds
    return Measured(big.size, seconds)


def _form_big(stage: Stage, name: str) -> Measured:
    done = stage.bucket(name).upload_big(stage.contents.big, stage.number(2))
    return Measured(stage.contents.big.size, done.seconds)


def _hash_big(stage: Stage, name: str) -> Measured:
    return Measured(stage.contents.big.size, bare.hash_in_memory(stage.contents.big, bare.DIGESTS))


def _put(server: Server, one: Content) -> bytes:
    return server.raw_upload(one.name, len(one.content)) + one.content


def _form(server: Server, one: Content) -> bytes:
    return requests.upload_form(one.name, one.content)


class _Small:
    """Small uploads, a request each."""

    def __init__(
        self,
        request: Callable[[Server, Content], bytes],
        connections: int,
        *,
        xml: bool = False,
    ) -> None:
        self._request = request
        self._connections = connections
        self._contents = small_reports if xml else small_contents

    def __call__(self, stage: Stage, name: str) -> Measured:
        server = stage.server(name)
        contents = list(self._contents(stage.scale.small_uploads, seed=next(_seeds)))
        if isinstance(server, Registry):
            seconds = _push_all(server, contents, self._connections)
            return Measured(len(contents), seconds)
        prepared = [self._request(server, one) for one in contents]
        answers = replay(server.port, prepared, self._connections).expect(200, 201, 204)
        return Measured(len(contents), answers.seconds)


def _push_all(server: Registry, contents: list[Content], connections: int) -> float:
    shares = [contents[start::connections] for start in range(connections)]
    with ThreadPoolExecutor(connections) as threads:
        return max(threads.map(lambda share: _push(server, share), shares))


def _push(server: Registry, contents: list[Content]) -> float:
    return sum(server.push(one.content, one.sha256) for one in contents)


def _bare_small(stage: Stage, name: str) -> Measured:
    contents = list(small_contents(stage.scale.small_uploads, seed=next(_seeds)))
    fsync = name == BARE
    place = stage.place(f"small-{fsync}")
    seconds = bare.write_small(place, contents, threads=8, fsync=fsync)
    return Measured(len(contents), seconds)


def _tar(stage: Stage, name: str) -> Measured:
    server = stage.bucket(name)
    contents = list(small_contents(stage.scale.small_uploads, seed=next(_seeds)))
    form = requests.upload_form("small.tar", tar_of(contents))
    done = stream.exchange(server.port, form).expect(200)
    assert server.receipt(done)["path"]["archive"], "it was unpacked"
    return Measured(len(contents), done.seconds)


def _parts(stage: Stage, name: str) -> Measured:
    server = stage.bucket(name)
    contents = list(small_contents(stage.scale.small_uploads, seed=next(_seeds)))
    body = requests.form_of([(f"small/{one.name}", one.content) for one in contents])
    headers = {"Content_Type": requests.FORM_TYPE, "Tree": "small"}
    done = stream.exchange(server.port, requests.send("POST", "/upload", body, **headers))
    if done.status in (400, 413) and b"archive" not in done.body:
        raise NotOffered("http-bucket: several files in one form are not taken yet")
    assert server.receipt(done.expect(200))["path"]["archive"], "it is a tree"
    return Measured(len(contents), done.seconds)
