"""The ports in memory: the reference for what they mean, and the double that tests use."""

from httpbucket.storage.memory.blobs import (
    MemoryBlobBatch,
    MemoryBlobStore,
    MemoryStagedFile,
    MemoryStaging,
)
from httpbucket.storage.memory.index import MemoryIndex
from httpbucket.storage.memory.records import MemoryPendingTrees, MemoryRecords, MemoryReplicas
from httpbucket.storage.memory.turns import MemoryCapacity, MemoryTurns

__all__ = [
    "MemoryBlobBatch",
    "MemoryBlobStore",
    "MemoryCapacity",
    "MemoryIndex",
    "MemoryPendingTrees",
    "MemoryRecords",
    "MemoryReplicas",
    "MemoryStagedFile",
    "MemoryStaging",
    "MemoryTurns",
]
