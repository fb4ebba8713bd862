"""The parts of a backend, as one value."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from httpbucket.storage.base import (
    BlobStore,
    Capacity,
    Index,
    InTurn,
    Notes,
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
