"""The services that remove, free, repair and complete what is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from httpbucket.config import Settings
from httpbucket.services.collect import Collect
from httpbucket.services.delete import Delete
from httpbucket.services.expire import Expire
from httpbucket.services.let_go import LetGo
from httpbucket.services.pace import Pace
from httpbucket.services.scrub import Scrub
from httpbucket.wiring.stores import Stores


@dataclass(frozen=True)
class Upkeep:
    """Makes each of them once, from the stores and from each other."""

    settings: Settings
    stores: Stores
    now: Callable[[], datetime]

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
