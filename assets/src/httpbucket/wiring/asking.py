"""The services that answer what is there, and show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from httpbucket.config import Settings
from httpbucket.services.ask import Ask
from httpbucket.services.ask_many import AskMany
from httpbucket.services.browse import Browse
from httpbucket.services.leases import Leases
from httpbucket.services.lookup import Lookup
from httpbucket.services.quick_ask import QuickAsk
from httpbucket.services.see_again import SeeAgain
from httpbucket.storage.base import Index
from httpbucket.storage.local.mounts import network_file_system
from httpbucket.wiring.stores import Stores


@dataclass(frozen=True)
class Asking:
    """Makes each of them once, from the stores and from each other."""

    settings: Settings
    stores: Stores
    now: Callable[[], datetime]

    @cached_property
    def lookup(self) -> Lookup:
        return Lookup(blobs=self.stores.blobs, index=self.stores.index)

    def ask_of(self, index: Index) -> Ask:
        """Asks this index, which may be one that does not wait."""
        return Ask(
            lookup=Lookup(blobs=self.stores.blobs, index=index),
            index=index,
            leases=self.leases_of(index),
        )

    @cached_property
    def ask_many(self) -> AskMany:
        stores = self.stores
        return AskMany(
            ask=self.ask_of(stores.index),
            lookup=self.lookup,
            blobs=stores.blobs,
            index=stores.index,
            leases=self.leases_of(stores.index),
            staging=stores.staging,
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

    def leases_of(self, index: Index) -> Leases:
        """Leases that are written to this index."""
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
