"""All services of the product, on a backend."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from httpbucket.config import Settings
from httpbucket.content.media_type import MediaTypes
from httpbucket.services.clear_up import ClearUp
from httpbucket.services.mark import Mark
from httpbucket.services.pack import Pack
from httpbucket.services.product import Services
from httpbucket.services.reindex import Reindex
from httpbucket.services.relink import Relink
from httpbucket.services.scrub_pass import ScrubPass
from httpbucket.services.search import Search
from httpbucket.services.stats import Stats
from httpbucket.services.take_over import TakeOver
from httpbucket.services.undo import Undo
from httpbucket.services.why import Why
from httpbucket.wiring.asking import Asking
from httpbucket.wiring.stores import Stores
from httpbucket.wiring.taking_in import TakingIn
from httpbucket.wiring.upkeep import Upkeep


def build(
    settings: Settings,
    stores: Stores,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    random_bits: Callable[[], int] = lambda: secrets.randbits(64),
    media_type_of: Callable[[bytes], str] | None = None,
) -> Services:
    """The services on a backend; ``media_type_of`` is libmagic's unless given."""
    media_type_of = media_type_of or MediaTypes().of
    asking, upkeep = Asking(settings, stores, now), Upkeep(settings, stores, now)
    taking_in = TakingIn(settings, stores, asking, now, random_bits, media_type_of)
    return Services(
        ingest=taking_in.ingest,
        resume=taking_in.resume,
        offer_tree=taking_in.offer_tree,
        members=taking_in.members,
        lookup=asking.lookup,
        ask=asking.ask_of(stores.index),
        ask_many=asking.ask_many,
        quick_ask=asking.quick_ask,
        browse=asking.browse,
        see_again=asking.see_again,
        pack=Pack(browse=asking.browse, blobs=stores.blobs),
        searching=Search(records=stores.records, index=stores.index),
        stats=Stats(index=stores.index, capacity=stores.capacity),
        delete=upkeep.delete,
        mark=Mark(stores.records),
        undo=Undo(stores.secret, seconds=settings.undo_seconds, now=now),
        expire=upkeep.expire,
        collect=upkeep.collect,
        clear_up=ClearUp(
            staging=stores.staging,
            partials=stores.partials,
            replicas=stores.replicas,
            blobs=stores.blobs,
        ),
        reindex=Reindex(records=stores.records, trees=stores.trees, index=stores.index, now=now),
        scrub=upkeep.scrub,
        scrub_by_hand=ScrubPass(upkeep.scrub, stores.notes, name="scrub-by-hand"),
        scrub_by_duty=ScrubPass(upkeep.scrub, stores.notes, name="scrub"),
        take_over=TakeOver(
            ingest=taking_in.ingest,
            index=stores.index,
            templates=settings.templates,
            media_type_of=media_type_of,
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
        index_gap=taking_in.index_gap,
    )
