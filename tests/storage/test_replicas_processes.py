"""Several processes on the same replica directories."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Sequence
from functools import partial
from itertools import combinations

from httpbucket.domain.upload import Record
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.processes import in_children, waiting_child
from tests.replica_checks import numbers_by_minute, replica_faults
from tests.storage.replica_uploads import (
    BOB,
    EVE,
    MINUTE,
    entries,
    file_upload,
    held,
    name_of,
    publish,
    publish_next,
)

PROCESSES = 4
UPLOADS = 15

#: Far beyond what a loaded machine takes; a deadlock ends here.
GUARD_SECONDS = 60


def publish_many(layout: Layout, first: int, directories: Sequence[str]) -> None:
    """Publish in this process, as a worker does."""
    signal.alarm(GUARD_SECONDS)
    stores = local_backend(layout.root).stores
    for number in range(first, first + UPLOADS):
        publish_next(stores, file_upload(stores, number, directories=directories))


def test_processes_number_one_after_another(layout: Layout, local: Stores) -> None:
    starts = range(0, PROCESSES * UPLOADS, UPLOADS)
    in_children([partial(publish_many, layout, first, [BOB]) for first in starts])
    assert numbers_by_minute(layout.root / BOB) == {MINUTE: [*range(PROCESSES * UPLOADS)]}
    latest = (layout.root / BOB / "results.latest.xml").readlink()
    assert str(latest) == name_of(PROCESSES * UPLOADS - 1)
    assert replica_faults(layout.root) == []


def test_directories_in_opposite_order_do_not_wait_for_each_other(
    layout: Layout, local: Stores
) -> None:
    orders = ([BOB, EVE], [EVE, BOB])
    tasks = [
        partial(publish_many, layout, number * UPLOADS, order)
        for number, order in enumerate(orders)
    ]
    in_children(tasks)
    for directory in (BOB, EVE):
        assert numbers_by_minute(layout.root / directory) == {MINUTE: [*range(2 * UPLOADS)]}
    assert replica_faults(layout.root) == []


def test_one_upload_may_have_directories_that_share_a_lock(layout: Layout, local: Stores) -> None:
    names = (f"replica/user/{number}" for number in range(100))
    pair = next(two for two in combinations(names, 2) if len({*map(stripe, two)}) == 1)
    signal.alarm(GUARD_SECONDS)
    publish(local, file_upload(local, directories=pair))
    signal.alarm(0)
    assert len([*layout.locks.glob("replica-*")]) == 1
    assert replica_faults(layout.root) == []


def test_a_process_that_is_killed_lets_go_of_its_directories(layout: Layout, local: Stores) -> None:
    record = file_upload(local, 0)
    with waiting_child(lambda: hold_for_ever(local, record)):
        pass
    publish(local, file_upload(local, 1))
    assert entries(local) == [name_of(1), "results.latest.xml"]


def stripe(directory: str) -> str:
    return hashlib.sha256(directory.encode()).hexdigest()[:2]


def hold_for_ever(stores: Stores, record: Record) -> object:
    """Hold the directories for as long as what is returned lives."""
    holding = held(stores, record)
    holding.__enter__()
    return holding
