"""Records, replicas and trees that wait, in memory."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from httpbucket.domain.errors import PendingTreeNotFound, UploadNotFound
from httpbucket.domain.pending_tree import PendingTree, checked_id
from httpbucket.domain.upload import Record, Replica, UploadId
from httpbucket.storage.base import MOST_PENDING, TURN_SECONDS, BlobBatch, HeldDirectories
from httpbucket.storage.memory.turns import _held


class MemoryRecords:
    """Records in a dictionary."""

    def __init__(self) -> None:
        self._records: dict[UploadId, bytes] = {}
        self._removed: dict[UploadId, Record] = {}

    def publish(self, record: Record, members: BlobBatch | None = None) -> None:
        self._records[record.id] = record.to_bytes()

    def load(self, upload: UploadId) -> Record:
        try:
            return Record.from_bytes(self._records[upload])
        except KeyError:
            raise UploadNotFound(f"There is no upload {upload}.") from None

    def has(self, upload: UploadId) -> bool:
        return upload in self._records

    def amend(self, upload: UploadId, change: Callable[[Record], Record]) -> Record:
        amended = change(self.load(upload))
        self._records[upload] = amended.to_bytes()
        return amended

    def remove(
        self, upload: UploadId, *, only_if: Callable[[Record], bool] = lambda record: True
    ) -> Record | None:
        record = self.load(upload)
        if not only_if(record):
            return None
        self._removed[upload] = record
        del self._records[upload]
        return record

    def removed(self) -> Iterator[Record]:
        return iter(list(self._removed.values()))

    def forget(self, upload: UploadId) -> None:
        self._removed.pop(upload, None)

    def ids(self, *, since_day: str = "") -> Iterator[UploadId]:
        return iter(sorted(upload for upload in self._records if upload.day >= since_day))


class MemoryReplicas:
    """Replica directories as dictionaries from name to what it shows."""

    def __init__(self) -> None:
        self.directories: dict[str, dict[str, Replica | str]] = defaultdict(dict)
        self._lock = threading.RLock()

    @contextmanager
    def hold(self, directories: Collection[str]) -> Iterator[HeldDirectories]:
        with self._lock:
            yield self

    def entries(self, directory: str) -> Collection[str]:
        return list(self.directories[directory])

    def announce(self, record: Record) -> None:
        pass

    def make(self, record: Record) -> None:
        for replica in record.replicas:
            names = self.directories[replica.directory]
            names[replica.name] = replica
            names.update(dict.fromkeys(replica.latest, replica.name))

    def shown(self, link: str) -> str | None:
        directory, _, name = link.rpartition("/")
        shown = self.directories[directory].get(name)
        return shown if isinstance(shown, str) else None

    @contextmanager
    def removing(
        self, upload: UploadId, replicas: Collection[Replica], latest: Mapping[str, str | None]
    ) -> Iterator[None]:
        yield
        for replica in replicas:
            self.directories[replica.directory].pop(replica.name, None)
        for link, name in latest.items():
            directory, _, own_name = link.rpartition("/")
            if name is None:
                del self.directories[directory][own_name]
            else:
                self.directories[directory][own_name] = name

    def finish(self) -> int:
        return 0


class MemoryPendingTrees:
    """Pending trees in a dictionary, as the lines that a disk would hold."""

    def __init__(self) -> None:
        # The one that was saved the longest ago comes first.
        self._trees: dict[str, list[bytes]] = {}
        self._lock = threading.RLock()
        self._held: set[str] = set()

    def save(self, pending: PendingTree) -> None:
        self._trees.pop(pending.id, None)
        if len(self._trees) >= MOST_PENDING:
            del self._trees[next(id for id in self._trees if id not in self._held)]
        self._trees[pending.id] = list(pending.to_lines())

    @contextmanager
    def hold(
        self, id: str, check: Callable[[], None] = lambda: None, *, seconds: float = TURN_SECONDS
    ) -> Iterator[PendingTree]:
        with _held(self._lock, check, seconds):
            if checked_id(id) not in self._trees:
                raise PendingTreeNotFound(id)
            self._held.add(id)
            try:
                yield PendingTree.from_lines(self._trees[id])
            finally:
                self._held.discard(id)

    def sweep(self, now: datetime) -> int:
        trees = [PendingTree.from_lines(lines) for lines in self._trees.values()]
        expired = [tree.id for tree in trees if tree.expires < now]
        for id in expired:
            del self._trees[id]
        return len(expired)
