"""The composition root: everything is built here, once, and passed down."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from httpbucket.config import Settings
from httpbucket.content.crew import Crew
from httpbucket.content.limits import UnpackLimits
from httpbucket.content.media_type import MediaTypes
from httpbucket.content.spare_memory import SpareMemory
from httpbucket.domain.errors import StorageFull
from httpbucket.services.ask import Ask
from httpbucket.services.assemble import Assemble
from httpbucket.services.browse import Browse
from httpbucket.services.clear_up import ClearUp
from httpbucket.services.collect import Collect
from httpbucket.services.delete import Delete
from httpbucket.services.earlier import EarlierUploads
from httpbucket.services.expire import Expire
from httpbucket.services.ingest import Ingest
from httpbucket.services.kept_already import KeptAlready
from httpbucket.services.kept_content import KeptContents
from httpbucket.services.leases import Leases
from httpbucket.services.let_go import LetGo
from httpbucket.services.lookup import Lookup
from httpbucket.services.mark import Mark
from httpbucket.services.offer_tree import OfferTree
from httpbucket.services.pace import Pace
from httpbucket.services.pack import Pack
from httpbucket.services.product import Services
from httpbucket.services.publish import Publish
from httpbucket.services.quick_ask import QuickAsk
from httpbucket.services.receive_members import ReceiveMembers
from httpbucket.services.reindex import Reindex
from httpbucket.services.relink import Relink
from httpbucket.services.replicate import Replicate
from httpbucket.services.resume import Resume
from httpbucket.services.retry import REMEMBERED, Retries
from httpbucket.services.scrub import Scrub
from httpbucket.services.scrub_pass import ScrubPass
from httpbucket.services.search import Search
from httpbucket.services.see_again import SeeAgain
from httpbucket.services.stats import Stats
from httpbucket.services.take_over import TakeOver
from httpbucket.services.undo import Undo
from httpbucket.services.unpack import Unpack
from httpbucket.services.why import Why
from httpbucket.storage.base import (
    TURN_SECONDS,
    BlobStore,
    Capacity,
    Index,
    InTurn,
    Notes,
    OldStore,
    PartialUploads,
    PendingTrees,
    Records,
    Repair,
    Replicas,
    Shelves,
    Staging,
    Survey,
    TreeStore,
)
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
    pending_trees: PendingTrees
    partials: PartialUploads
    repair: Repair
    survey: Survey
    notes: Notes
    index: Index
    capacity: Capacity
    # Holds the duty of this name, if no other process does; yields whether it is held.
    only_one: Callable[[str], AbstractContextManager[bool]]
    # Random bytes that are the store's own, to sign with.
    secret: bytes
    # Holds a name that a client chose, among all processes; who comes meanwhile waits.
    in_turn: InTurn
    # Another reader of the same index, for who must not wait; None where ``index`` never does.
    quick_index: Index | None = None


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
    linker = Linker(layout, disk, staging)
    records = LocalRecords(layout, disk, staging, trees, linker)
    replicas = LocalReplicas(
        layout, disk, staging=staging, linker=linker, trees=trees, records=records
    )
    return Stores(
        staging=staging,
        blobs=blobs,
        trees=trees,
        records=records,
        replicas=replicas,
        shelves=LocalShelves(layout),
        pending_trees=LocalPendingTrees(layout, disk, staging),
        partials=LocalPartialUploads(layout, disk, staging),
        repair=LocalRepair(
            layout, disk, staging=staging, linker=linker, trees=trees, replicas=replicas
        ),
        survey=LocalSurvey(layout, staging),
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


def _past_cache(settings: Settings, disk: Disk) -> PastCache | None:
    # Over a network each write would wait for the other side's disk.
    if not settings.fast_writes or network_file_system(settings.archive_dir):
        return None
    return PastCache(disk)


def _scribes(settings: Settings) -> Scribes | None:
    return Scribes() if settings.fast_unpack and has_second_processor() else None


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


def build(
    settings: Settings,
    stores: Stores,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    random_bits: Callable[[], int] = lambda: secrets.randbits(64),
    media_type_of: Callable[[bytes], str] | None = None,
) -> Services:
    """The services on a backend; ``media_type_of`` is libmagic's unless given."""
    made = _Assembly(settings, stores, now, random_bits, media_type_of or MediaTypes().of)
    return Services(
        ingest=made.ingest,
        resume=made.resume,
        offer_tree=made.offer_tree,
        members=made.members,
        lookup=made.lookup,
        ask=made.ask_of(stores.index),
        quick_ask=made.quick_ask,
        browse=made.browse,
        see_again=made.see_again,
        pack=Pack(browse=made.browse, blobs=stores.blobs),
        searching=Search(records=stores.records, index=stores.index),
        stats=Stats(index=stores.index, capacity=stores.capacity),
        delete=made.delete,
        mark=Mark(stores.records),
        undo=Undo(stores.secret, seconds=settings.undo_seconds, now=now),
        expire=made.expire,
        collect=made.collect,
        clear_up=ClearUp(
            staging=stores.staging,
            partials=stores.partials,
            replicas=stores.replicas,
            blobs=stores.blobs,
        ),
        reindex=Reindex(records=stores.records, trees=stores.trees, index=stores.index, now=now),
        scrub=made.scrub,
        scrub_by_hand=ScrubPass(made.scrub, stores.notes, name="scrub-by-hand"),
        scrub_by_duty=ScrubPass(made.scrub, stores.notes, name="scrub"),
        take_over=TakeOver(
            ingest=made.ingest,
            index=stores.index,
            templates=settings.templates,
            media_type_of=made.media_type_of,
            now=now,
        ),
        why=Why(
            records=stores.records,
            trees=stores.trees,
            index=stores.index,
            repair=stores.repair,
            survey=stores.survey,
        ),
        relink=Relink(records=stores.records, repair=stores.repair),
        index_gap=made.index_gap,
    )


@dataclass(frozen=True)
class _Assembly:
    """Makes each service once, from the stores and from those that it needs."""

    settings: Settings
    stores: Stores
    now: Callable[[], datetime]
    random_bits: Callable[[], int]
    media_type_of: Callable[[bytes], str]
    index_gap: threading.Event = field(default_factory=threading.Event)
    crew: Crew = field(default_factory=Crew)
    memory: SpareMemory = field(default_factory=SpareMemory)

    @cached_property
    def publish(self) -> Publish:
        return Publish(
            trees=self.stores.trees,
            records=self.stores.records,
            index=self.stores.index,
            replicate=Replicate(self.settings.templates, self.stores.replicas),
            now=self.now,
            random_bits=self.random_bits,
            on_index_gap=self.index_gap.set,
            retention=self.settings.retention,
        )

    @cached_property
    def retries(self) -> Retries:
        stores = self.stores
        return Retries(stores.index, stores.records, stores.in_turn, self.now)

    @cached_property
    def assemble(self) -> Assemble:
        return Assemble(
            staging=self.stores.staging,
            trees=self.stores.trees,
            publish=self.publish,
            retries=self.retries,
            digests=self.settings.digests,
            limits=self.unpack_limits,
        )

    @cached_property
    def unpack_limits(self) -> UnpackLimits:
        settings = self.settings
        return UnpackLimits(
            max_bytes=settings.unpack_max_bytes,
            max_members=settings.unpack_max_members,
            max_ratio=settings.unpack_max_ratio,
            max_depth=settings.unpack_max_depth,
            max_path=settings.unpack_max_path,
            max_seconds=settings.unpack_max_seconds,
        )

    @cached_property
    def unpack(self) -> Unpack:
        stores, settings = self.stores, self.settings
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
            media_type_of=self.media_type_of,
            digests=settings.digests,
            limits=self.unpack_limits,
            stay_packed=settings.unpack_not,
            concurrency=settings.unpack_concurrency,
            crew=self.crew,
        )

    @cached_property
    def ingest(self) -> Ingest:
        stores, settings = self.stores, self.settings
        return Ingest(
            staging=stores.staging,
            blobs=stores.blobs,
            trees=stores.trees,
            unpack=self.unpack,
            publish=self.publish,
            assemble=self.assemble,
            retries=self.retries,
            kept=KeptContents(lookup=self.lookup, blobs=stores.blobs, digests=settings.digests),
            media_type_of=self.media_type_of,
            digests=settings.digests,
            max_content_length=settings.max_content_length,
            crew=self.crew,
            memory=self.memory,
        )

    @cached_property
    def resume(self) -> Resume:
        return Resume(
            partials=self.stores.partials,
            ingest=self.ingest,
            digests=self.settings.digests,
            max_content_length=self.settings.max_content_length,
            partial_seconds=self.settings.partial_seconds,
            random_bits=self.random_bits,
        )

    @cached_property
    def members(self) -> ReceiveMembers:
        return ReceiveMembers(
            staging=self.stores.staging,
            blobs=self.stores.blobs,
            media_type_of=self.media_type_of,
            digests=self.settings.digests,
            limits=self.unpack_limits,
            max_content_length=self.settings.max_content_length,
            place=self.unpack.place,
        )

    @cached_property
    def offer_tree(self) -> OfferTree:
        stores, settings = self.stores, self.settings
        return OfferTree(
            pending=stores.pending_trees,
            assemble=self.assemble,
            members=self.members,
            kept=KeptAlready(blobs=stores.blobs, index=stores.index, digests=settings.digests),
            records=stores.records,
            retries=self.retries,
            leases=self._leases_of(stores.index),
            limits=self.unpack_limits,
            keep_seconds=settings.partial_seconds,
            now=self.now,
            new_id=lambda: f"{self.random_bits():016x}{self.random_bits():016x}",
        )

    @cached_property
    def lookup(self) -> Lookup:
        return Lookup(blobs=self.stores.blobs, index=self.stores.index)

    def ask_of(self, index: Index) -> Ask:
        return Ask(
            lookup=Lookup(blobs=self.stores.blobs, index=index),
            blobs=self.stores.blobs,
            index=index,
            leases=self._leases_of(index),
        )

    @cached_property
    def quick_ask(self) -> QuickAsk:
        index = self.stores.quick_index or self.stores.index
        return QuickAsk(
            ask=self.ask_of(index),
            index=None if self.settings.retention.supersedes else index,
            blobs=self.stores.blobs,
            lease_seconds=self.settings.lease_seconds,
            now=self.now,
        )

    def _leases_of(self, index: Index) -> Leases:
        return Leases(
            index=index,
            seconds=self.settings.lease_seconds,
            now=self.now,
            despite_uploads=self.settings.retention.supersedes,
        )

    @cached_property
    def browse(self) -> Browse:
        stores = self.stores
        return Browse(
            blobs=stores.blobs, records=stores.records, shelves=stores.shelves, index=stores.index
        )

    @cached_property
    def see_again(self) -> SeeAgain | None:
        index = self.stores.quick_index
        is_far = network_file_system(self.settings.archive_dir)
        return None if index is None or is_far else SeeAgain(index)

    @cached_property
    def let_go(self) -> LetGo:
        stores = self.stores
        return LetGo(
            blobs=stores.blobs,
            trees=stores.trees,
            records=stores.records,
            index=stores.index,
            is_leased=lambda digest, moment: bool(stores.index.leased([digest], now=moment)),
            now=self.now,
        )

    @cached_property
    def delete(self) -> Delete:
        return Delete(
            records=self.stores.records,
            replicas=self.stores.replicas,
            shelves=self.stores.shelves,
            index=self.stores.index,
            let_go=self.let_go,
        )

    @cached_property
    def expire(self) -> Expire:
        stores = self.stores
        return Expire(
            records=stores.records,
            trees=stores.trees,
            index=stores.index,
            delete=self.delete,
            retention=self.settings.retention,
            has_lease=lambda upload, moment: stores.index.has_lease(upload, now=moment),
        )

    @cached_property
    def collect(self) -> Collect:
        return Collect(
            blobs=self.stores.blobs,
            index=self.stores.index,
            let_go=self.let_go,
            grace_seconds=self.settings.collect_grace_seconds,
            lease_seconds=self.settings.lease_seconds,
        )

    @cached_property
    def scrub(self) -> Scrub:
        return Scrub(
            blobs=self.stores.blobs,
            records=self.stores.records,
            index=self.stores.index,
            repair=self.stores.repair,
            survey=self.stores.survey,
            digests=self.settings.digests,
            pace=Pace(self.settings.scrub_bytes_per_second),
        )
