"""Uploads, deletes and collecting at the same time, by processes that may be killed.

The rule: while an upload is there, so is every content that it names; what was acknowledged is
there unless somebody deleted it.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from httpbucket.config import Settings
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BucketError, UploadNotFound
from httpbucket.domain.search import UploadFilter
from httpbucket.domain.upload import Record, UploadId
from httpbucket.server.startup import prepare
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Services, Stores, build
from tests.backends import local_backend
from tests.builders import tar, tar_member
from tests.examples import identity
from tests.processes import in_children
from tests.uploading import upload_file

ENVIRON = {"REPLICATE_0": "user/${USERNAME}", "COLLECT_GRACE_SECONDS": "0", "FSYNC": "off"}
FILE = b"the same bytes again and again"
MEMBERS = (b"first member", b"second member", FILE)
TREE = tar(*(tar_member(f"d{number}", content) for number, content in enumerate(MEMBERS)))
CONTENTS = {"file.xml": FILE, "tree.tar": TREE}

ROUNDS = 30
KILLS = 8


def opened(root: Path) -> tuple[Stores, Services]:
    """The store as a worker has it."""
    settings = Settings.from_environ(ENVIRON | {"ARCHIVE_DIR": str(root)})
    stores = local_backend(root).stores
    return stores, build(settings, stores)


def upload(services: Services, name: str) -> Record:
    return upload_file(services.ingest, CONTENTS[name], name, headers={"username": "bob"}).record


def named(record: Record) -> list[Digest]:
    """Every content that the record names, itself or by its tree."""
    if record.tree is None:
        return [identity(FILE)]
    return [identity(TREE), record.tree.manifest.sha256, *map(identity, MEMBERS)]


def assert_there_or_deleted(stores: Stores, record: Record) -> None:
    """For a moment a blob may be away, while it is looked whether it can be freed."""
    deadline = time.monotonic() + 5
    while missing := [one for one in named(record) if stores.blobs.size(one) is None]:
        if not stores.records.has(record.id):
            return
        assert time.monotonic() < deadline, f"{record.id} lacks {missing}"


def upload_often(root: Path, name: str, rounds: int) -> int:
    """Upload, and look whether what was acknowledged is there; how many were refused."""
    stores, services = opened(root)
    refused = 0
    for _ in range(rounds):
        try:
            record = upload(services, name)
        except BucketError:
            refused += 1
        else:
            assert_there_or_deleted(stores, record)
    return refused


def collect(services: Services) -> int:
    now = datetime.now(UTC) + timedelta(seconds=2)
    return services.collect.run(now, despite_lost_leases=True).blobs


def delete_all(root: Path, seconds: float) -> int:
    """Delete whatever comes."""
    stores, services = opened(root)
    deleted = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for one in list(stores.records.ids()):
            try:
                services.delete.upload(one)
                deleted += 1
            except UploadNotFound:
                pass
    return deleted


def collect_always(root: Path, seconds: float) -> int:
    _, services = opened(root)
    freed = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        freed += collect(services)
    return freed


@pytest.mark.parametrize(
    ("rounds", "seconds"), [(ROUNDS, 3), pytest.param(200, 20, marks=pytest.mark.long)]
)
def test_what_is_uploaded_while_it_is_deleted_is_there_or_gone_and_never_half(
    tmp_path: Path, rounds: int, seconds: float
) -> None:
    root = tmp_path / "store"
    stores, services = opened(root)
    prepare(stores, services)
    tasks: list[Callable[[], int]] = [
        partial(upload_often, root, "file.xml", rounds),
        partial(upload_often, root, "tree.tar", rounds),
        partial(delete_all, root, seconds),
        partial(delete_all, root, seconds),
        partial(collect_always, root, seconds),
    ]
    *refused, deleted, also_deleted, _ = in_children(tasks)
    assert deleted + also_deleted > 0
    # Nothing was in the way of any upload.
    assert refused == [0, 0]
    assert_whole(root)


def work_until_killed(root: Path, journal: Path, seed: int) -> None:
    """Upload, delete, collect; the journal tells what was acknowledged and what was begun."""
    chosen = random.Random(seed)
    _, services = opened(root)
    descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    acknowledged: list[UploadId] = []
    while True:
        step = chosen.random()
        if step < 0.6 or not acknowledged:
            record = upload(services, chosen.choice(list(CONTENTS)))
            os.write(descriptor, f"+{record.id}\n".encode())
            acknowledged.append(record.id)
        elif step < 0.9:
            one = acknowledged.pop(chosen.randrange(len(acknowledged)))
            os.write(descriptor, f"-{one}\n".encode())
            services.delete.upload(one)
        else:
            collect(services)


def kill_at(root: Path, journal: Path, seconds: float, seed: int) -> None:
    child = os.fork()
    if child == 0:
        try:
            work_until_killed(root, journal, seed)
        finally:
            os._exit(1)
    time.sleep(seconds)
    assert os.waitpid(child, os.WNOHANG) == (0, 0), "the child failed"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.parametrize("kills", [KILLS, pytest.param(200, marks=pytest.mark.long)])
def test_whenever_a_process_is_killed_every_upload_is_whole_or_gone(
    tmp_path: Path, kills: int
) -> None:
    root, journal = tmp_path / "store", tmp_path / "journal"
    stores, services = opened(root)
    prepare(stores, services)
    chosen = random.Random(7)
    for round_number in range(kills):
        kill_at(root, journal, 0.2 + 0.4 * chosen.random(), round_number)
        lines = journal.read_text().split() if journal.exists() else []
        begun = {line[1:] for line in lines if line[0] == "-"}
        must_stay = {line[1:] for line in lines if line[0] == "+"} - begun
        found = assert_whole(root)
        assert must_stay <= found


def assert_whole(root: Path) -> set[str]:
    """After a start, every upload there is whole, on the disk and in the index; their ids."""
    layout = Layout(root)
    stores, services = opened(root)
    prepare(stores, services)
    assert stores.index.is_complete()
    assert [*layout.trash.iterdir(), *layout.redo.iterdir()] == []
    assert [path for path in layout.staging.glob("*/*") if path.name[0] != "."] == []
    records = [stores.records.load(one) for one in stores.records.ids()]
    for record in records:
        assert stores.index.has_upload(record.id)
        assert_names(layout, record)
        for blob in named(record):
            assert identity(layout.blob(blob).read_bytes()) == blob
            assert stores.index.unnamed([blob]) == ()
    found = stores.index.find_uploads(UploadFilter(), limit=10_000).ids
    assert sorted(found) == sorted(record.id for record in records)
    assert_replicas(layout, records)
    stores.index.close()
    return {str(record.id) for record in records}


def assert_names(layout: Layout, record: Record) -> None:
    directory = layout.upload(record.id)
    if record.uploaded:
        assert (directory / record.name).read_bytes() == CONTENTS[record.name]
    if record.tree:
        members = [
            (directory / record.tree.name / f"d{number}").read_bytes()
            for number in range(len(MEMBERS))
        ]
        assert tuple(members) == MEMBERS


def assert_replicas(layout: Layout, records: list[Record]) -> None:
    """Those that records name are there, and no others; every link leads to one."""
    paths = {replica.path for record in records for replica in record.replicas}
    bob = layout.replicas / "user/bob"
    there = list(bob.iterdir()) if bob.exists() else []
    links = [path for path in there if path.is_symlink()]
    assert {f"replica/user/bob/{path.name}" for path in there if path not in links} == paths
    assert all(path.exists() for path in links)
