"""The composition root: everything is built here, once, and passed down."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from httpbucket.config import Settings
from httpbucket.content.limits import UnpackLimits
from httpbucket.content.media_type import MediaTypes
from httpbucket.services.assemble import Assemble
from httpbucket.services.browse import Browse
from httpbucket.services.earlier import EarlierUploads
from httpbucket.services.ingest import Ingest
from httpbucket.services.kept_already import KeptAlready
from httpbucket.services.lookup import Lookup
from httpbucket.services.offer_tree import OfferTree
from httpbucket.services.pack import Pack
from httpbucket.services.publish import Publish
from httpbucket.services.receive_members import ReceiveMembers
from httpbucket.services.reindex import Reindex
from httpbucket.services.replicate import Replicate
from httpbucket.services.search import Search
from httpbucket.services.unpack import Unpack
from httpbucket.storage.base import (
    BlobStore,
    Index,
    PendingTrees,
    Records,
    Replicas,
    Shelves,
    Staging,
    TreeStore,
)
from httpbucket.storage.local.blobs import LocalBlobStore
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.links import Linker
from httpbucket.storage.local.locks import in_turn, only_one
from httpbucket.storage.local.opening import open_store
from httpbucket.storage.local.pending_trees import LocalPendingTrees
from httpbucket.storage.local.records import LocalRecords
from httpbucket.storage.local.replicas import LocalReplicas
from httpbucket.storage.local.shelves import LocalShelves
from httpbucket.storage.local.staging import LocalStaging
from httpbucket.storage.sqlite_index import SqliteIndex
from httpbucket.storage.trees import BlobTreeStore


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
    index: Index
    # Holds the duty of this name, if no other process does; yields whether it is held.
    only_one: Callable[[str], AbstractContextManager[bool]]
    # Holds a name that a client chose, among all processes; who comes meanwhile waits.
    in_turn: Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Services:
    """What the product does. ``index_gap`` is set when the index may lack a record."""

    ingest: Ingest
    offer_tree: OfferTree
    members: ReceiveMembers
    lookup: Lookup
    browse: Browse
    pack: Pack
    searching: Search
    reindex: Reindex
    index_gap: threading.Event


def open_local(
    settings: Settings, *, disk: Disk | None = None, unnamed_staging: bool = True
) -> Stores:
    """The store in ``ARCHIVE_DIR``, made where there is none. Raises `UnusableStore`.

    Staged files have no name where the file system can do that, unless ``unnamed_staging`` is off.
    """
    layout = Layout(settings.archive_dir)
    disk = disk or Disk(fsync=settings.fsync)
    open_store(layout, disk)
    staging = LocalStaging(layout, disk, unnamed=unnamed_staging)
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
        pending_trees=LocalPendingTrees(layout, disk, staging),
        index=SqliteIndex(layout.index),
        only_one=lambda duty: only_one(layout.locks / duty),
        in_turn=lambda name: in_turn(layout.locks, name),
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
    index_gap = threading.Event()
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
    assemble = Assemble(
        staging=stores.staging,
        trees=stores.trees,
        publish=publish,
        digests=settings.digests,
        limits=_unpack_limits(settings),
    )
    limits, unpack = _unpack_limits(settings), _unpack(settings, stores, media_type_of)
    ingest = Ingest(
        staging=stores.staging,
        blobs=stores.blobs,
        trees=stores.trees,
        unpack=unpack,
        publish=publish,
        assemble=assemble,
        media_type_of=media_type_of,
        digests=settings.digests,
        max_content_length=settings.max_content_length,
    )
    browse = Browse(
        blobs=stores.blobs, records=stores.records, shelves=stores.shelves, index=stores.index
    )
    members = ReceiveMembers(
        staging=stores.staging,
        blobs=stores.blobs,
        media_type_of=media_type_of,
        digests=settings.digests,
        limits=limits,
        max_content_length=settings.max_content_length,
        place=unpack.place,
    )
    offer_tree = OfferTree(
        pending=stores.pending_trees,
        assemble=assemble,
        members=members,
        kept=KeptAlready(blobs=stores.blobs, index=stores.index, digests=settings.digests),
        records=stores.records,
        index=stores.index,
        limits=limits,
        keep_seconds=settings.partial_seconds,
        now=now,
        new_id=lambda: secrets.token_hex(16),
    )
    return Services(
        ingest=ingest,
        offer_tree=offer_tree,
        members=members,
        lookup=Lookup(blobs=stores.blobs, index=stores.index),
        browse=browse,
        pack=Pack(browse=browse, blobs=stores.blobs),
        searching=Search(records=stores.records, index=stores.index),
        reindex=Reindex(records=stores.records, trees=stores.trees, index=stores.index, now=now),
        index_gap=index_gap,
    )


def _unpack(settings: Settings, stores: Stores, media_type_of: Callable[[bytes], str]) -> Unpack:
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
        limits=_unpack_limits(settings),
        stay_packed=settings.unpack_not,
        concurrency=settings.unpack_concurrency,
    )


def _unpack_limits(settings: Settings) -> UnpackLimits:
    return UnpackLimits(
        max_bytes=settings.unpack_max_bytes,
        max_members=settings.unpack_max_members,
        max_ratio=settings.unpack_max_ratio,
        max_depth=settings.unpack_max_depth,
        max_path=settings.unpack_max_path,
        max_seconds=settings.unpack_max_seconds,
    )
