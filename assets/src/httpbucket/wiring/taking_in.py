"""The services that take uploads in, whichever way they come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from httpbucket.config import Settings
from httpbucket.content.crew import Crew
from httpbucket.content.limits import UnpackLimits
from httpbucket.content.spare_memory import SpareMemory
from httpbucket.services.assemble import Assemble
from httpbucket.services.earlier import EarlierUploads
from httpbucket.services.ingest import Ingest
from httpbucket.services.kept_already import KeptAlready
from httpbucket.services.kept_content import KeptContents
from httpbucket.services.offer_tree import OfferTree
from httpbucket.services.publish import Publish
from httpbucket.services.receive_members import ReceiveMembers
from httpbucket.services.replicate import Replicate
from httpbucket.services.resume import Resume
from httpbucket.services.retry import Retries
from httpbucket.services.unpack import Unpack
from httpbucket.wiring.asking import Asking
from httpbucket.wiring.stores import Stores


@dataclass(frozen=True)
class TakingIn:
    """Makes each of them once, from the stores and from each other.

    ``index_gap`` is set when the index did not take an upload in.
    """

    settings: Settings
    stores: Stores
    asking: Asking
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
            kept=KeptContents(
                lookup=self.asking.lookup, blobs=stores.blobs, digests=settings.digests
            ),
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
            leases=self.asking.leases_of(stores.index),
            limits=self.unpack_limits,
            keep_seconds=settings.partial_seconds,
            now=self.now,
            new_id=lambda: f"{self.random_bits():016x}{self.random_bits():016x}",
        )
