"""Every backend behind the ports, and what lies in its staging."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from httpbucket.config import Settings
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.past_cache import LARGE_BYTES
from httpbucket.storage.local.scribe import Scribes
from httpbucket.storage.local.staging import SMALL_BYTES
from httpbucket.storage.memory import (
    MemoryBlobStore,
    MemoryCapacity,
    MemoryIndex,
    MemoryPendingTrees,
    MemoryRecords,
    MemoryReplicas,
    MemoryStaging,
    MemoryTurns,
)
from httpbucket.storage.memory.partials import MemoryPartialUploads
from httpbucket.storage.memory.repair import MemoryRepair
from httpbucket.storage.memory.shelves import MemoryShelves
from httpbucket.storage.memory.survey import MemoryNotes, MemorySurvey
from httpbucket.storage.trees import BlobTreeStore
from httpbucket.wiring import Stores, open_local


@dataclass(frozen=True)
class Backend:
    """A backend's parts; ``staged`` names what is on its way in, in this process or on disk."""

    stores: Stores
    staged: Callable[[], list[str]]


def memory_stores(
    *,
    staging: MemoryStaging | None = None,
    blobs: MemoryBlobStore | None = None,
    records: MemoryRecords | None = None,
    replicas: MemoryReplicas | None = None,
    index: MemoryIndex | None = None,
    capacity: MemoryCapacity | None = None,
) -> Stores:
    """Everything in memory, with parts of one's own where they are given."""
    blobs, records = blobs or MemoryBlobStore(), records or MemoryRecords()
    staging = staging or MemoryStaging()
    trees, replicas = BlobTreeStore(blobs), replicas or MemoryReplicas()
    return Stores(
        staging=staging,
        blobs=blobs,
        trees=trees,
        records=records,
        replicas=replicas,
        shelves=MemoryShelves(
            records=records, replicas=replicas.directories, blobs=blobs, trees=trees
        ),
        pending_trees=MemoryPendingTrees(),
        partials=MemoryPartialUploads(staging),
        repair=MemoryRepair(blobs),
        survey=MemorySurvey(blobs),
        notes=MemoryNotes(),
        index=index or MemoryIndex(),
        capacity=capacity or MemoryCapacity(),
        only_one=lambda duty: nullcontext(True),
        secret=b"a secret of tests",
        in_turn=MemoryTurns(),
    )


def memory_backend() -> Backend:
    """Everything in memory."""
    staging = MemoryStaging()
    return Backend(
        memory_stores(staging=staging), lambda: [repr(staged) for staged in staging.staged]
    )


def local_backend(
    root: Path,
    *,
    unnamed: bool = True,
    in_memory: bool | None = None,
    disk: Disk | None = None,
    large: int = LARGE_BYTES,
    scribes: Scribes | None = None,
) -> Backend:
    """A store below ``root``; staged files have a name unless ``unnamed``.

    Small ones wait ``in_memory``, or on the disk, as large ones do; where they have a name unless
    that is said otherwise. From ``large`` bytes on they are written past the page cache.
    """
    layout, disk = Layout(root), disk or Disk()
    settings = Settings.from_environ({"ARCHIVE_DIR": str(root)})
    in_memory_bytes = SMALL_BYTES if (unnamed if in_memory is None else in_memory) else 0
    stores = open_local(
        settings,
        disk=disk,
        unnamed_staging=unnamed,
        staged_in_memory=in_memory_bytes,
        large=large,
        scribes=scribes,
    )
    return Backend(stores, lambda: staged_on_disk(layout))


def staged_on_disk(layout: Layout) -> list[str]:
    """What is staged: files and directories of processes, and this one's unnamed files."""
    named = [str(path.relative_to(layout.staging)) for path in layout.staging.glob("*/*")]
    loose = [path.name for path in layout.staging.iterdir() if not path.is_dir()]
    return named + loose + _unnamed_files(layout.staging.resolve())


def _unnamed_files(directory: Path) -> list[str]:
    return open_files(f"{directory}/#")


def open_files(front: str) -> list[str]:
    """What this process has open whose path begins so."""
    found = []
    # As text: the tests' process has a thousand open, and is asked at each of their faults.
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        # The listing's own descriptor is closed by now.
        with suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115
    return [path for path in found if path.startswith(front)]
