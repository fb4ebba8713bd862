"""The store on the local disk, and what an operator should know of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from httpbucket.config import Settings
from httpbucket.domain.errors import StorageFull
from httpbucket.services.retry import REMEMBERED
from httpbucket.storage.base import TURN_SECONDS, OldStore
from httpbucket.storage.local.blobs import LocalBlobStore
from httpbucket.storage.local.capacity import LocalCapacity
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.links import Linker
from httpbucket.storage.local.locks import in_turn, locked, only_one, sweep_turns
from httpbucket.storage.local.mounts import network_file_system
from httpbucket.storage.local.notes import LocalNotes
from httpbucket.storage.local.opening import make_place_for_index, open_secret, open_store
from httpbucket.storage.local.partials import LocalPartialUploads
from httpbucket.storage.local.past_cache import LARGE_BYTES, PastCache
from httpbucket.storage.local.pending_trees import LocalPendingTrees
from httpbucket.storage.local.public_names import PublicNames
from httpbucket.storage.local.records import LocalRecords
from httpbucket.storage.local.repair import LocalRepair
from httpbucket.storage.local.replicas import LocalReplicas
from httpbucket.storage.local.room import Remembered, Room
from httpbucket.storage.local.scribe import Scribes, has_second_processor
from httpbucket.storage.local.shelves import LocalShelves
from httpbucket.storage.local.staging import SMALL_BYTES, LocalStaging
from httpbucket.storage.local.survey import LocalSurvey
from httpbucket.storage.original import OriginalStore
from httpbucket.storage.sqlite_index import SqliteIndex
from httpbucket.storage.sqlite_quick import QuickIndex
from httpbucket.storage.trees import BlobTreeStore
from httpbucket.wiring.stores import Stores


def open_local(
    settings: Settings,
    *,
    disk: Disk | None = None,
    unnamed_staging: bool = True,
    staged_in_memory: int = SMALL_BYTES,
    large: int = LARGE_BYTES,
    scribes: Scribes | None = None,
) -> Stores:
    """The store in ``ARCHIVE_DIR``, made where there is none. Raises `UnusableStore`.

    Staged files have no name where the file system can do that, unless ``unnamed_staging`` is off;
    up to ``staged_in_memory`` bytes they wait in memory, from ``large`` bytes on they are written
    past the page cache. ``scribes`` are those of `FAST_UNPACK` unless others are given.
    """
    layout = Layout(settings.archive_dir)
    disk = disk or Disk(fsync=settings.fsync)
    open_store(layout, disk)
    sweep_turns(layout.locks, before=time.time() - REMEMBERED.total_seconds())
    index = _open_index(settings, layout)
    room = _room(
        settings,
        Remembered(lambda: index.totals().blob_size).value,
        alone=lambda: locked(layout.locks / "room"),
    )
    staging = LocalStaging(
        layout,
        disk,
        unnamed=unnamed_staging,
        in_memory=staged_in_memory,
        room=room,
        past_cache=_past_cache(settings, disk),
        large=large,
    )
    blobs = LocalBlobStore(layout, disk, staging, scribes or _scribes(settings))
    trees = BlobTreeStore(blobs)
    names = PublicNames(layout, disk, staging, Linker(layout, disk, staging), trees)
    records = LocalRecords(names)
    replicas = LocalReplicas(names, records)
    return Stores(
        staging=staging,
        blobs=blobs,
        trees=trees,
        records=records,
        replicas=replicas,
        shelves=LocalShelves(layout),
        pending_trees=LocalPendingTrees(layout, disk, staging),
        partials=LocalPartialUploads(layout, disk, staging),
        repair=LocalRepair(names, replicas),
        survey=LocalSurvey(layout),
        notes=LocalNotes(layout),
        capacity=LocalCapacity(layout.root),
        index=index,
        only_one=lambda duty: only_one(layout.locks / duty),
        secret=open_secret(layout, disk),
        in_turn=partial(in_turn, layout.locks, seconds=TURN_SECONDS),
        quick_index=QuickIndex(_index_path(settings, layout)),
    )


def open_original(root: Path) -> OldStore:
    """The original's store at ``root``, to be taken over. Raises `UnusableStore`."""
    return OriginalStore(root)


def warnings_of(settings: Settings) -> Iterator[str]:
    """What the operator of a store that can be used should know of it, a sentence each."""
    index = _index_path(settings, Layout(settings.archive_dir))
    if kind := network_file_system(settings.archive_dir):
        yield f"ARCHIVE_DIR lies on {kind}; only one machine may write to it."
    if kind := network_file_system(index):
        yield f"The index lies on {kind} and is slow there; set INDEX_PATH to one on a local disk."
    try:
        _room(settings, lambda: None).require()
    except StorageFull as error:
        yield f"No upload is taken for now: {error}"


def _scribes(settings: Settings) -> Scribes | None:
    return Scribes() if settings.fast_unpack and has_second_processor() else None


def _past_cache(settings: Settings, disk: Disk) -> PastCache | None:
    # Over a network each write would wait for the other side's disk.
    if not settings.fast_writes or network_file_system(settings.archive_dir):
        return None
    return PastCache(disk)


def _open_index(settings: Settings, layout: Layout) -> SqliteIndex:
    path = _index_path(settings, layout)
    if path != layout.index:
        make_place_for_index(path)
    return SqliteIndex(path, write_ahead_log=not network_file_system(path))


def _index_path(settings: Settings, layout: Layout) -> Path:
    return settings.index_path or layout.index


def _room(
    settings: Settings,
    used_bytes: Callable[[], int | None],
    alone: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Room:
    return Room(
        settings.archive_dir,
        min_free_bytes=settings.min_free_bytes,
        min_free_inodes=settings.min_free_inodes,
        max_store_bytes=settings.max_store_bytes,
        used_bytes=used_bytes,
        alone=alone,
    )
