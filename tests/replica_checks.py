"""What must be true of ``replica/`` whenever no upload is under way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from httpbucket.domain.manifest import read_manifest
from httpbucket.domain.replica import ReplicaName
from httpbucket.domain.upload import Record, Replica
from tests.examples import file_of


def replica_faults(root: Path) -> list[str]:
    """Where records and replicas disagree, and links that lead nowhere or away."""
    records = [*records_of(root)]
    return [*_missing(root, records), *_unnamed(root, records), *link_faults(root / "replica")]


def records_of(root: Path) -> Iterator[Record]:
    """Every record of the store."""
    for path in (root / "archive").glob("*/*/*/*/.upload.json"):
        yield Record.from_bytes(path.read_bytes())


def link_faults(replicas: Path) -> Iterator[str]:
    """Symlinks that are not to a name beside them which is there."""
    for path in replicas.rglob("*"):
        if path.is_symlink():
            target = str(path.readlink())
            if "/" in target or not (path.parent / target).exists():
                yield f"{path} leads to {target}"


def numbers_by_minute(directory: Path) -> dict[str, list[int]]:
    """The numbers that a directory with one series holds, in order."""
    names = filter(None, (ReplicaName.parse(path.name) for path in directory.iterdir()))
    numbers: dict[str, list[int]] = {}
    for name in sorted(names):
        numbers.setdefault(name.minute, []).append(name.number)
    return numbers


def _missing(root: Path, records: list[Record]) -> Iterator[str]:
    for record in records:
        for replica in record.replicas:
            if not _shows(root, record, replica):
                yield f"{replica.path} is not what {record.id} says"
            yield from (
                f"{link} beside {replica.path} is missing"
                for link in replica.latest
                if not (root / replica.directory / link).is_symlink()
            )


def _shows(root: Path, record: Record, replica: Replica) -> bool:
    path = root / replica.path
    match replica.part:
        case "uploaded":
            return _is(path, file_of(record).blob.sha256.hex)
        case "decompressed":
            assert record.decompressed is not None
            return _is(path, record.decompressed.blob.sha256.hex)
        case "tree":
            return _files_of(path) == _members(root / record.id.directory / ".manifest.jsonl")


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _files_of(tree: Path) -> dict[str, str]:
    return {
        str(path.relative_to(tree)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in tree.rglob("*")
        if path.is_file()
    }


def _members(manifest: Path) -> dict[str, str]:
    with manifest.open("rb") as lines:
        _, entries = read_manifest(lines)
        return {entry.path: entry.blob.sha256.hex for entry in entries if entry.blob}


def _unnamed(root: Path, records: list[Record]) -> Iterator[str]:
    named = {root / replica.path for record in records for replica in record.replicas}
    for path in (root / "replica").rglob("*"):
        is_numbered = ReplicaName.parse(path.name) and not path.is_symlink()
        if is_numbered and named.isdisjoint((path, *path.parents)):
            yield f"{path} is there, and no record says so"
