"""Repair of names and blobs, by reading what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from httpbucket.domain.digest import Digest
from httpbucket.domain.upload import Record
from httpbucket.storage.base import Relinked
from httpbucket.storage.local.blob_files import blob_of, siblings_of
from httpbucket.storage.local.disk import told_as_refusals
from httpbucket.storage.local.public_names import PublicNames
from httpbucket.storage.local.relinking import Relinking
from httpbucket.storage.local.replicas import LocalReplicas
from httpbucket.storage.local.rereading import is_whole


class LocalRepair:
    """Quarantine is ``private/quarantine/<sha256>``, and ``…~<number>`` for siblings."""

    def __init__(self, names: PublicNames, replicas: LocalReplicas) -> None:
        self._layout = names.layout
        self._disk = names.disk
        self._relinking = Relinking(names, replicas, drop_rotten_siblings=self.quarantine_siblings)

    def quarantine(self, blob: Digest) -> None:
        with told_as_refusals():
            # The blob's own file goes last: without it the others would not be found.
            for path in siblings_of(self._layout, blob):
                self._put_aside(path)
            self._put_aside(self._layout.blob(blob))

    def quarantine_siblings(
        self, blob: Digest, on_piece: Callable[[int], None] = lambda size: None
    ) -> int:
        with told_as_refusals():
            rotten = [
                path
                for path in siblings_of(self._layout, blob)
                if not _is_whole(path, blob, on_piece)
            ]
            for path in rotten:
                self._put_aside(path)
        return len(rotten)

    def quarantined(self) -> Iterator[Digest]:
        with told_as_refusals():
            names = [path.name for path in self._layout.quarantine.iterdir()]
        return iter(sorted(set(filter(None, map(blob_of, names))), key=str))

    def release(self, blob: Digest) -> None:
        with told_as_refusals():
            for path in self._layout.quarantine.glob(f"{blob.hex}*"):
                path.unlink(missing_ok=True)

    def relink(self, record: Record) -> Relinked:
        with told_as_refusals():
            return self._relinking.relink(record.id)

    def _put_aside(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            self._disk.rename(path, self._layout.quarantine / path.name)
            self._disk.sync_directory(path.parent)
            self._disk.sync_directory(self._layout.quarantine)


def _is_whole(path: Path, blob: Digest, on_piece: Callable[[int], None]) -> bool:
    """True also of what is gone: it was freed meanwhile."""
    with suppress(FileNotFoundError), path.open("rb") as reader:
        return is_whole(reader, blob, on_piece)
    return True
