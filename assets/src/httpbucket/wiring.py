"""The composition root: everything is built here, once, and passed down."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from httpbucket.config import Settings
from httpbucket.content.crew import Crew
from httpbucket.content.limits import UnpackLimits
from httpbucket.content.media_type import MediaTypes
from httpbucket.domain.errors import StorageFull
from httpbucket.services.ask import Ask
from httpbucket.services.browse import Browse
from httpbucket.services.earlier import EarlierUploads
from httpbucket.services.ingest import Ingest
from httpbucket.services.kept_content import KeptContents
from httpbucket.services.leases import Leases
from httpbucket.services.lookup import Lookup
from httpbucket.services.pace import Pace
from httpbucket.services.pack import Pack
from httpbucket.services.product import Services
from httpbucket.services.publish import Publish
from httpbucket.services.reindex import Reindex
from httpbucket.services.relink import Relink
from httpbucket.services.replicate import Replicate
from httpbucket.services.resume import Resume
from httpbucket.services.retry import Retries
from httpbucket.services.scrub import Scrub
from httpbucket.services.search import Search
from httpbucket.services.stats import Stats
from httpbucket.services.unpack import Unpack
from httpbucket.storage.base import (
    BlobStore,
    Capacity,
    Index,
    PartialUploads,
    Records,
    Repair,
    Replicas,
    Shelves,
    Staging,
    TreeStore,
)
from httpbucket.storage.local.blobs import LocalBlobStore
from httpbucket.storage.local.capacity import LocalCapacity
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.links import Linker
from httpbucket.storage.local.locks import in_turn, only_one
from httpbucket.storage.local.mounts import network_file_system
from httpbucket.storage.local.opening import make_place_for_index, open_store
from httpbucket.storage.local.partials import LocalPartialUploads
from httpbucket.storage.local.records import LocalRecords
from httpbucket.storage.local.repair import LocalRepair
from httpbucket.storage.local.replicas import LocalReplicas
from httpbucket.storage.local.room import Remembered, Room
from httpbucket.storage.local.shelves import LocalShelves
from httpbucket.storage.local.staging import LocalStaging
from httpbucket.storage.sqlite_index import SqliteIndex
from httpbucket.storage.sqlite_quick import QuickIndex
from httpbucket.storage.trees import BlobTreeStore

__all__ = ["Services", "Stores", "build", "open_local"]


@dataclass(frozen=True)
class Stores:
    """A backend's parts."""

    staging: Staging
    blobs: BlobStore
    trees: TreeStore
    records: Records
    replicas: Replicas
    shelves: Shelves
    partials: PartialUploads
    repair: Repair
    index: Index
    capacity: Capacity
    # Holds the duty of this name, if no other process does; yields whether it is held.
    only_one: Callable[[str], AbstractContextManager[bool]]
    # Holds a name that a client chose, among all processes; who comes meanwhile waits.
    in_turn: Callable[[str], AbstractContextManager[None]]
    # Another reader of the same index, for who must not wait; None where ``index`` never does.
    quick_index: Index | None = None


def open_local(
    settings: Settings, *, disk: Disk | None = None, unnamed_staging: bool = True
) -> Stores:
    """The store in ``ARCHIVE_DIR``, made where there is none. Raises `UnusableStore`.

    Staged files have no name where the file system can do that, unless ``unnamed_staging`` is off.
    """
    layout = Layout(settings.archive_dir)
    disk = disk or Disk(fsync=settings.fsync)
    open_store(layout, disk)
    index = _open_index(settings, layout)
    room = _room(settings, Remembered(lambda: index.totals().blob_size).value)
    staging = LocalStaging(layout, disk, unnamed=unnamed_staging, room=room)
    blobs = LocalBlobStore(layout, disk, staging)
    trees = BlobTreeStore(blobs)
    linker = Linker(layout, disk, staging)
    records = LocalRecords(layout, disk, staging, trees, linker)
    return Stores(
        staging=staging,
        blobs=blobs,
        trees=trees,
        records=records,
        replicas=LocalReplicas(
            layout, disk, staging=staging, linker=linker, trees=trees, records=records
        ),
        shelves=LocalShelves(layout),
        partials=LocalPartialUploads(layout, disk, staging),
        repair=LocalRepair(layout, disk, staging=staging, linker=linker, trees=trees),
        capacity=LocalCapacity(layout.root),
        index=index,
        only_one=lambda duty: only_one(layout.locks / duty),
        in_turn=lambda name: in_turn(layout.locks, name),
        quick_index=QuickIndex(_index_path(settings, layout)),
    )


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


def _open_index(settings: Settings, layout: Layout) -> SqliteIndex:
    path = _index_path(settings, layout)
    if path != layout.index:
        make_place_for_index(path)
    return SqliteIndex(path, write_ahead_log=not network_file_system(path))


def _index_path(settings: Settings, layout: Layout) -> Path:
    return settings.index_path or layout.index


def _room(settings: Settings, used_bytes: Callable[[], int | None]) -> Room:
    return Room(
        settings.archive_dir,
        min_free_bytes=settings.min_free_bytes,
        min_free_inodes=settings.min_free_inodes,
        max_store_bytes=settings.max_store_bytes,
        used_bytes=used_bytes,
    )


def build(
    settings: Settings,
    stores: Stores,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    random_bits: Callable[[], int] = lambda: secrets.randbits(64),
    media_type_of: Callable[[bytes], str] | None = None,
) -> Services:
    """The services on a backend; ``media_type_of`` is libmagic's unless given."""
    index_gap, crew = threading.Event(), Crew()
    media_type_of = media_type_of or MediaTypes().of
    publish = Publish(
        trees=stores.trees,
        records=stores.records,
        index=stores.index,
        replicate=Replicate(settings.templates, stores.replicas),
        now=now,
        random_bits=random_bits,
        on_index_gap=index_gap.set,
    )
    lookup = Lookup(blobs=stores.blobs, index=stores.index)
    ingest = Ingest(
        staging=stores.staging,
        blobs=stores.blobs,
        trees=stores.trees,
        unpack=_unpack(settings, stores, media_type_of, crew),
        publish=publish,
        retries=Retries(stores.index, stores.records, stores.in_turn, now),
        kept=KeptContents(lookup=lookup, blobs=stores.blobs, digests=settings.digests),
        media_type_of=media_type_of,
        digests=settings.digests,
        max_content_length=settings.max_content_length,
        crew=crew,
    )
    browse = Browse(
        blobs=stores.blobs, records=stores.records, shelves=stores.shelves, index=stores.index
    )
    return Services(
        ingest=ingest,
        ask=_ask(settings, stores, stores.index, now),
        quick_ask=_ask(settings, stores, stores.quick_index or stores.index, now),
        resume=Resume(
            partials=stores.partials,
            ingest=ingest,
            digests=settings.digests,
            max_content_length=settings.max_content_length,
            partial_seconds=settings.partial_seconds,
            random_bits=random_bits,
        ),
        lookup=lookup,
        browse=browse,
        pack=Pack(browse=browse, blobs=stores.blobs),
        searching=Search(records=stores.records, index=stores.index),
        stats=Stats(index=stores.index, capacity=stores.capacity),
        reindex=Reindex(records=stores.records, trees=stores.trees, index=stores.index, now=now),
        scrub=Scrub(
            blobs=stores.blobs,
            records=stores.records,
            index=stores.index,
            repair=stores.repair,
            digests=settings.digests,
            pace=Pace(settings.scrub_bytes_per_second),
        ),
        relink=Relink(records=stores.records, repair=stores.repair),
        index_gap=index_gap,
    )


def _ask(settings: Settings, stores: Stores, index: Index, now: Callable[[], datetime]) -> Ask:
    return Ask(
        lookup=Lookup(blobs=stores.blobs, index=index),
        blobs=stores.blobs,
        index=index,
        leases=Leases(index=index, seconds=settings.lease_seconds, now=now),
    )


def _unpack(
    settings: Settings, stores: Stores, media_type_of: Callable[[bytes], str], crew: Crew
) -> Unpack:
    return Unpack(
        staging=stores.staging,
        blobs=stores.blobs,
        trees=stores.trees,
        earlier=EarlierUploads(
            index=stores.index,
            records=stores.records,
            blobs=stores.blobs,
            trees=stores.trees,
            digests=settings.digests,
        ),
        media_type_of=media_type_of,
        digests=settings.digests,
        limits=UnpackLimits(
            max_bytes=settings.unpack_max_bytes,
            max_members=settings.unpack_max_members,
            max_ratio=settings.unpack_max_ratio,
            max_depth=settings.unpack_max_depth,
            max_path=settings.unpack_max_path,
            max_seconds=settings.unpack_max_seconds,
        ),
        stay_packed=settings.unpack_not,
        concurrency=settings.unpack_concurrency,
        crew=crew,
    )
