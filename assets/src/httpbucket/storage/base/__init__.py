"""The ports: what services may ask of a place where things are kept, and what it promises.

They speak of digests, records and questions, never of links or SQL. Each backend has one module
for each part; `httpbucket.storage.memory` is the reference, and one contract suite
(``tests/storage``) holds every backend to the docstrings here.

Every method may raise `StorageFull` (no room) or `StorageUnavailable` (cannot be done now). A call
that raises has changed nothing that a later call could see, unless its docstring says otherwise.
"""

from httpbucket.storage.base.blobs import BlobBatch, BlobStore, Sighting
from httpbucket.storage.base.index import FoundMany, FoundUploads, Index, KnownBlob, Totals
from httpbucket.storage.base.old_store import OldFile, OldStore
from httpbucket.storage.base.partials import HeldPartial, PartialUploads
from httpbucket.storage.base.records import Records
from httpbucket.storage.base.repair import Relinked, Repair, Standing
from httpbucket.storage.base.replicas import HeldDirectories, Replicas
from httpbucket.storage.base.shelves import ShelfEntry, ShelfPage, Shelves
from httpbucket.storage.base.staging import StagedFile, Staging
from httpbucket.storage.base.trees import Manifest, TreeStore
from httpbucket.storage.base.upkeep import Capacity, Notes, Space, Survey
from httpbucket.storage.base.waiting import MOST_PENDING, TURN_SECONDS, InTurn, PendingTrees

__all__ = [
    "MOST_PENDING",
    "TURN_SECONDS",
    "BlobBatch",
    "BlobStore",
    "Capacity",
    "FoundMany",
    "FoundUploads",
    "HeldDirectories",
    "HeldPartial",
    "InTurn",
    "Index",
    "KnownBlob",
    "Manifest",
    "Notes",
    "OldFile",
    "OldStore",
    "PartialUploads",
    "PendingTrees",
    "Records",
    "Relinked",
    "Repair",
    "Replicas",
    "ShelfEntry",
    "ShelfPage",
    "Shelves",
    "Sighting",
    "Space",
    "StagedFile",
    "Staging",
    "Standing",
    "Survey",
    "Totals",
    "TreeStore",
]
