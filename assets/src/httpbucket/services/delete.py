"""Delete: take uploads and replicas away, and free what nothing else names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container
from contextlib import suppress
from dataclasses import replace

from httpbucket.domain.errors import (
    IndexNotReady,
    KeptUpload,
    NameNotFound,
    NotDeletable,
    StorageFull,
    StorageUnavailable,
    UploadNotFound,
)
from httpbucket.domain.freed import Freed
from httpbucket.domain.public_path import PublicPath
from httpbucket.domain.replica import ReplicaName, in_series
from httpbucket.domain.upload import Record, Replica, UploadId
from httpbucket.services.let_go import LetGo
from httpbucket.services.load_record import load_record
from httpbucket.storage.base import HeldDirectories, Index, Records, Replicas, Shelves

#: So many older replicas are looked at for one that ``latest-pass`` or ``latest-fail`` may show.
MOST_LOOKED_AT = 1000


class Delete:
    """Removes uploads in one step each; then their replicas, their rows in the index, their blobs.

    The index has to be complete, because it says what else names a blob: `IndexNotReady` otherwise.
    """

    def __init__(
        self,
        *,
        records: Records,
        replicas: Replicas,
        shelves: Shelves,
        index: Index,
        let_go: LetGo,
    ) -> None:
        self._records = records
        self._replicas = replicas
        self._shelves = shelves
        self._index = index
        self._let_go = let_go

    def upload(self, upload: UploadId) -> Freed:
        """Remove an upload with all its names, whatever was promised to stay for a while.

        Raises `UploadNotFound`, also the second time, `DamagedRecord`, and `KeptUpload` when
        somebody marked it to be kept.
        """
        freed = self.upload_if(upload, lambda record: not record.keep, despite_leases=True)
        if freed is None:
            raise KeptUpload(f"Upload {upload} is marked to be kept; take the mark away first.")
        return freed

    def upload_if(
        self,
        upload: UploadId,
        only_if: Callable[[Record], bool],
        *,
        despite_leases: bool = False,
    ) -> Freed | None:
        """As `upload`, but by another condition; None when that says no to the record.

        Leased contents stay, unless they are to go ``despite_leases``.
        """
        self._require_complete_index()
        record = load_record(self._records, upload)
        removed, is_finished = self._remove(record, only_if)
        if removed is None:
            return None
        freed = self._let_go.upload(removed, despite_leases=despite_leases)
        return replace(freed, is_finished=freed.is_finished and is_finished)

    def replica(self, path: PublicPath, wanted: UploadId | None = None) -> Freed:
        """Remove one whole replica, and leave its upload.

        With ``wanted`` only a replica of that upload: the name of one that went may be another's.
        Raises `NameNotFound`, or `NotDeletable` for a part of one and for a ``latest`` link.
        """
        self._require_complete_index()
        upload = self._index.find_replica(str(path))
        if upload is None:
            raise self._not_a_replica(path)
        if wanted not in (None, upload):
            raise NameNotFound(str(path))
        record, replica = self._named(upload, str(path))
        self._remove_replica(upload, replica)
        self._index.forget_replica(replica.path, upload)
        named = record.named_part(replica.part)
        size = named.blob.size if named else record.tree.size if record.tree else 0
        return Freed(0, size, (upload,))

    def removed(self) -> frozenset[UploadId]:
        """The uploads that are removed and not let go of: others may be at work on them."""
        return frozenset(record.id for record in self._records.removed())

    def finish(self, uploads: Container[UploadId] | None = None) -> int:
        """Let go of what dead processes and failures left of removed uploads; of how many.

        Only of ``uploads``, if they are given. Raises `IndexNotReady` before anything that the
        index cannot tell.
        """
        self._require_complete_index()
        left = (one for one in self._records.removed() if uploads is None or one.id in uploads)
        return sum(self._let_go.upload(record).is_finished for record in left)

    def _require_complete_index(self) -> None:
        if not self._index.is_complete():
            raise IndexNotReady("The index is being rebuilt; delete again in a few seconds.")

    def _remove(
        self, record: Record, only_if: Callable[[Record], bool]
    ) -> tuple[Record | None, bool]:
        """The record if the upload is gone now, and whether its replicas are."""
        directories = {replica.directory for replica in record.replicas}
        if not directories:
            return self._records.remove(record.id, only_if=only_if), True
        removed: Record | None = None
        try:
            with self._replicas.hold(directories) as held:
                record = load_record(self._records, record.id)
                latest = self._successors(held, record.replicas)
                with held.removing(record.id, record.replicas, latest):
                    removed = self._records.remove(record.id, only_if=only_if)
                    if removed is None:
                        raise _Stays
        except _Stays:
            return None, True
        except (StorageFull, StorageUnavailable):
            # Once it is gone, whoever holds the directories next goes on with its replicas.
            if removed is None:
                raise
            return removed, False
        return removed, True

    def _remove_replica(self, upload: UploadId, replica: Replica) -> None:
        def without(record: Record) -> Record:
            rest = tuple(one for one in record.replicas if one.path != replica.path)
            return replace(record, replicas=rest)

        with self._replicas.hold({replica.directory}) as held:
            # Whoever deleted it meanwhile may have left its name to another upload.
            self._named(upload, replica.path)
            latest = self._successors(held, [replica])
            with held.removing(upload, [replica], latest):
                self._records.amend(upload, without)

    def _named(self, upload: UploadId, path: str) -> tuple[Record, Replica]:
        """The record, and what it says of the replica. Raises `NameNotFound`."""
        with suppress(UploadNotFound):
            record = load_record(self._records, upload)
            for replica in record.replicas:
                if replica.path == path:
                    return record, replica
        raise NameNotFound(path)

    def _successors(
        self, held: HeldDirectories, replicas: Collection[Replica]
    ) -> dict[str, str | None]:
        """What each ``latest`` link that shows one of the replicas is to show when that is gone."""
        return {
            f"{replica.directory}/{link}": self._successor(held, replica, link)
            for replica in replicas
            for link in replica.latest
            if held.shown(f"{replica.directory}/{link}") == replica.name
        }

    def _successor(self, held: HeldDirectories, replica: Replica, link: str) -> str | None:
        parsed = ReplicaName.parse(replica.name)
        if parsed is None:
            return None
        entries = held.entries(replica.directory)
        older = [name for name in in_series(entries, parsed.series) if name != parsed]
        if link == parsed.series.latest():
            return str(older[0]) if older else None
        for name in older[:MOST_LOOKED_AT]:
            if self._has_link(f"{replica.directory}/{name}", link):
                return str(name)
        return None

    def _has_link(self, path: str, link: str) -> bool:
        """Whether the upload of this replica had that outcome."""
        upload = self._index.find_replica(path)
        try:
            replicas = self._records.load(upload).replicas if upload else ()
        except (UploadNotFound, ValueError):
            return False
        return any(one.path == path and link in one.latest for one in replicas)

    def _not_a_replica(self, path: PublicPath) -> NotDeletable | NameNotFound:
        # Raises NameNotFound when there is nothing at all.
        resolved = self._shelves.resolve(path)
        self._shelves.look(resolved)
        if resolved != path:
            return NotDeletable(
                f"{path.name!r} leads to the replica that is the latest; name that one, {resolved}."
            )
        for length in range(len(path.parts) - 1, 1, -1):
            whole = "/".join(path.parts[:length])
            if self._index.find_replica(whole):
                return NotDeletable(f"This is a part of a replica; only all of {whole} can go.")
        return NotDeletable(f"{path} is no replica; name one as the receipt of its upload does.")


class _Stays(Exception):
    """The condition said no; nothing is removed."""
