"""Uploads with replicas, made through the ports as the service makes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from httpbucket.domain.manifest import ManifestEntry
from httpbucket.domain.replica import Series
from httpbucket.domain.upload import NamedBlob, Record, Replica, Tree
from httpbucket.storage.base import HeldDirectories
from httpbucket.wiring import Stores
from tests.examples import descriptor, keep, keep_manifest, record_of, tree_of

BOB = "replica/user/bob"
EVE = "replica/user/eve"
MINUTE = "20261121.1432"

MEMBERS = {"report/index.html": b"<h1>", "report/css/style.css": b"h1 {}", "empty.txt": b""}


def name_of(number: int) -> str:
    """The name of a replica of ``results.xml``."""
    return str(Series.of_file("results.xml").numbered(MINUTE, number))


def file_upload(
    stores: Stores,
    number: int = 0,
    *,
    directories: Iterable[str] = (BOB,),
    content: bytes | None = None,
) -> Record:
    """An upload of ``results.xml`` that is to appear in the directories, not yet published."""
    content = b"content %d" % number if content is None else content
    record = record_of(keep(stores, content), number=number)
    replicas = (
        Replica(f"{one}/{name_of(number)}", "uploaded", ("results.latest.xml",))
        for one in directories
    )
    return replace(record, replicas=tuple(replicas))


def compressed_upload(stores: Stores, number: int = 0) -> Record:
    """An upload of ``log.gz``, which appears with the stream inside it."""
    record = record_of(keep(stores, b"compressed %d" % number), number=number, name="log.gz")
    inside = NamedBlob("log", keep(stores, b"decompressed %d" % number))
    replicas = (
        Replica(f"{BOB}/log.{MINUTE}.{number}.gz", "uploaded", ("log.latest.gz",)),
        Replica(f"{BOB}/log.{MINUTE}.{number}", "decompressed", ("log.latest",)),
    )
    return replace(record, decompressed=inside, replicas=replicas)


def tree_upload(stores: Stores, number: int = 0, *, directories: Iterable[str] = (BOB,)) -> Record:
    """An upload of ``results.tar``, which appears unpacked."""
    source = b"tar %d" % number
    record = record_of(keep(stores, source), number=number, name="results.tar")
    replicas = (
        Replica(f"{one}/results.{MINUTE}.{number}", "tree", ("results.latest",))
        for one in directories
    )
    return replace(record, tree=keep_tree(stores, source), replicas=tuple(replicas))


def keep_tree(stores: Stores, source: bytes) -> Tree:
    """A tree of `MEMBERS`, one empty directory and one file that tells the source."""
    members = MEMBERS | {"source": source}
    for content in members.values():
        keep(stores, content)
    entries = [ManifestEntry(path, descriptor(content)) for path, content in members.items()]
    tree, manifest = tree_of(source, [*entries, ManifestEntry("hollow", None)])
    keep_manifest(stores, tree, manifest)
    return tree


@contextmanager
def held(stores: Stores, record: Record) -> Iterator[HeldDirectories]:
    """The directories of the record's replicas, held."""
    with stores.replicas.hold({one.directory for one in record.replicas}) as directories:
        yield directories


def publish(stores: Stores, record: Record) -> Record:
    """Publish the record and make its replicas."""
    with held(stores, record) as directories:
        directories.announce(record)
        stores.records.publish(record)
        directories.make(record)
    return record


def entries(stores: Stores, directory: str = BOB) -> list[str]:
    """The names in a directory."""
    with stores.replicas.hold([directory]) as directories:
        return sorted(directories.entries(directory))


def publish_next(stores: Stores, record: Record) -> Record:
    """Publish a file's upload under the next free number of each of its directories."""
    with held(stores, record) as directories:
        numbered = (_numbered(one, directories) for one in record.replicas)
        record = replace(record, replicas=tuple(numbered))
        directories.announce(record)
        stores.records.publish(record)
        directories.make(record)
    return record


def _numbered(replica: Replica, directories: HeldDirectories) -> Replica:
    count = sum(MINUTE in name for name in directories.entries(replica.directory))
    return replace(replica, path=f"{replica.directory}/{name_of(count)}")
