"""Archive files of many small members, for the first time and again."""

from __future__ import annotations

import json
from typing import Any

from tests.benchmark import bare, requests, stream
from tests.benchmark.scale import Scale
from tests.benchmark.servers import SYNCED, UNSYNCED, Bucket
from tests.benchmark.work import Measured, Stage, Work

SHELL = {"tgz": "tar xzf, then sha256sum", "zip": "unzip, then sha256sum"}
LINKS = "receive, hash, link"

_OURS = (UNSYNCED, SYNCED)


def works(scale: Scale) -> list[Work]:
    """Both kinds, both times."""
    members = f"{scale.members:,} files"
    found = []
    for suffix in ("tgz", "zip"):
        first, again = (*_OURS, SHELL[suffix]), (*_OURS, LINKS)
        title = f"unpack {members} from .{suffix}"
        found += [
            Work(f"unpack-{suffix}", title, "files", first, _First(suffix), True),
            Work(f"again-{suffix}", f"{title}, again", "files", again, _Again(suffix), True),
        ]
    return found


class _First:
    """The first upload of an archive file, or what the shell does with it."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix

    def __call__(self, stage: Stage, name: str) -> Measured:
        archive = stage.contents.archives[self._suffix]
        if name in SHELL.values():
            place = stage.place(f"unpack-{self._suffix}")
            seconds = bare.shell(bare.UNPACK[self._suffix].format(archive), place)
        else:
            seconds = _upload(stage.bucket(name), archive.read_bytes(), self._suffix).seconds
        return Measured(stage.scale.members, seconds)


class _Again:
    """The same upload again, or the least that it has to do."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix

    def __call__(self, stage: Stage, name: str) -> Measured:
        archive = stage.contents.archives[self._suffix]
        server = stage.bucket(UNSYNCED if name == LINKS else name)
        done = _upload(server, archive.read_bytes(), self._suffix)
        seconds = done.seconds
        if name == LINKS:
            names = _blobs_and_names(server, server.receipt(done))
            target = stage.place(f"links-{self._suffix}") / "tree"
            seconds = bare.receive_hash_and_link(archive, names, target)
        return Measured(stage.scale.members, seconds)


def _upload(server: Bucket, content: bytes, suffix: str) -> stream.Exchange:
    form = requests.upload_form(f"many.{suffix}", content)
    done = stream.exchange(server.port, form).expect(200)
    assert server.receipt(done)["path"]["archive"], "it was unpacked"
    return done


def _blobs_and_names(server: Bucket, receipt: dict[str, Any]) -> list[tuple[str, str]]:
    root = server.live.archive
    manifest = root / receipt["path"]["upload"] / ".manifest.jsonl"
    entries = [json.loads(line) for line in manifest.read_bytes().splitlines()[1:]]
    digests = [entry["digests"]["sha256"] for entry in entries]
    blobs = [f"{root}/blob/{one[:2]}/{one[2:4]}/{one}" for one in digests]
    return list(zip(blobs, [entry["path"] for entry in entries], strict=True))
