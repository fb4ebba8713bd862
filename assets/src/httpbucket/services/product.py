"""All services together, as wiring builds them and the ways to reach them are given them."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from httpbucket.services.ask import Ask
from httpbucket.services.ask_many import AskMany
from httpbucket.services.browse import Browse
from httpbucket.services.clear_up import ClearUp
from httpbucket.services.collect import Collect
from httpbucket.services.delete import Delete
from httpbucket.services.expire import Expire
from httpbucket.services.ingest import Ingest
from httpbucket.services.lookup import Lookup
from httpbucket.services.mark import Mark
from httpbucket.services.offer_tree import OfferTree
from httpbucket.services.pack import Pack
from httpbucket.services.quick_ask import QuickAsk
from httpbucket.services.receive_members import ReceiveMembers
from httpbucket.services.reindex import Reindex
from httpbucket.services.relink import Relink
from httpbucket.services.resume import Resume
from httpbucket.services.scrub import Scrub
from httpbucket.services.scrub_pass import ScrubPass
from httpbucket.services.search import Search
from httpbucket.services.see_again import SeeAgain
from httpbucket.services.stats import Stats
from httpbucket.services.take_over import TakeOver
from httpbucket.services.undo import Undo
from httpbucket.services.why import Why


@dataclass(frozen=True)
class Services:
    """What the product does. ``index_gap`` is set when the index may lack a record."""

    ingest: Ingest
    resume: Resume
    offer_tree: OfferTree
    members: ReceiveMembers
    lookup: Lookup
    ask: Ask
    ask_many: AskMany
    # The same, for who must not wait: raises where that would.
    quick_ask: QuickAsk
    browse: Browse
    # None where looking may take long.
    see_again: SeeAgain | None
    pack: Pack
    searching: Search
    delete: Delete
    mark: Mark
    undo: Undo
    expire: Expire
    collect: Collect
    stats: Stats
    clear_up: ClearUp
    reindex: Reindex
    scrub: Scrub
    scrub_by_hand: ScrubPass
    scrub_by_duty: ScrubPass
    why: Why
    take_over: TakeOver
    relink: Relink
    index_gap: threading.Event
