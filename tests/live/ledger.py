"""What clients were told: which uploads are kept, with what under which names, and which are gone.

Every act is safe to be done again when its answer was lost, and is done again until it has one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.live.server import LiveServer
from tests.live.wire import Answer

#: How long an answer may be 503, as while the index is brought up to date after a kill.
BUSY_SECONDS = 20.0


@dataclass(frozen=True)
class Sample:
    """Something to upload, and what is to come of it."""

    name: str
    content: bytes | None
    decompressed: bytes | None = None
    members: Mapping[str, bytes] = field(default_factory=dict)

    def contents(self) -> Iterable[bytes]:
        """Every content that an upload of it names."""
        return filter(None, (self.content, self.decompressed, *self.members.values()))


@dataclass
class Kept:
    """An acknowledged upload: every path below the store's root, and the SHA-256 of what it shows.

    ``may_expire`` is for those whose time the upkeep takes to be over.
    """

    id: str
    directory: str
    undo: str | None
    files: dict[str, str]
    replicas: list[str]
    may_expire: bool
    is_marked: bool = False

    @property
    def has_to_stay(self) -> bool:
        return self.is_marked or not self.may_expire


class Ledger:
    """What all clients together were told."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        self.deleted: set[str] = set()
        self.contents: set[str] = set()
        self.acts = 0

    def keep(self, receipt: Mapping[str, Any], sample: Sample, *, may_expire: bool) -> Kept:
        """Take down an acknowledged upload."""
        replicas = receipt["upload"]["replicas"]
        kept = Kept(
            id=receipt["upload"]["id"],
            directory=receipt["path"]["upload"],
            undo=receipt.get("undo"),
            files=_files(receipt["path"], replicas, sample),
            replicas=[replica["path"] for replica in replicas],
            may_expire=may_expire,
        )
        assert kept.id not in self.deleted, f"{kept.id} was deleted, and is back"
        self.kept[kept.id] = kept
        return kept

    def see(self, sample: Sample) -> None:
        """Take down contents that are about to be sent."""
        self.contents.update(map(sha256, sample.contents()))

    def forget(self, kept: Kept) -> None:
        """Take down an acknowledged delete, or that an upload has expired."""
        self.kept.pop(kept.id, None)
        self.deleted.add(kept.id)


class Act(Protocol):
    """Something that a client does, with one or several requests."""

    def do(self, server: LiveServer, ledger: Ledger) -> Sequence[Kept]:
        """Do it, or do it again; the uploads it made. Raises OSError when the connection breaks."""


def ask(
    server: LiveServer,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Ask on a connection of its own; who is asked to come later does."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        answer = server.request(method, path, body, headers)
        is_told_to_wait = answer.status == 503 and "Retry-After" in answer.headers
        if not is_told_to_wait or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _files(
    paths: Mapping[str, Any], replicas: Iterable[Mapping[str, Any]], sample: Sample
) -> dict[str, str]:
    files = _tree(paths["archive"], sample)
    if sample.content is not None:
        files |= dict.fromkeys((paths["blob"], paths["file"]), sha256(sample.content))
    if sample.decompressed is not None:
        files[paths["decompressed"]] = sha256(sample.decompressed)
    for replica in replicas:
        files |= _replica(replica, sample)
    return files


def _replica(replica: Mapping[str, Any], sample: Sample) -> dict[str, str]:
    parts = {"uploaded": sample.content, "decompressed": sample.decompressed}
    shown = parts.get(replica["part"])
    if shown is None:
        return _tree(replica["path"], sample)
    return {replica["path"]: sha256(shown)}


def _tree(directory: str | None, sample: Sample) -> dict[str, str]:
    assert bool(directory) is bool(sample.members), f"{sample.name}: {directory}"
    return {f"{directory}/{path}": sha256(member) for path, member in sample.members.items()}
