"""What must be true of a whole store while nobody writes to it, whatever it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from httpbucket.domain.digest import EMPTY
from httpbucket.domain.manifest import read_manifest
from httpbucket.domain.upload import Record
from tests.replica_checks import records_of, replica_faults


class WholeStore:
    """One look at everything on the disk; each inode is read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._hashes: dict[int, str] = {}
        self.records = {str(record.id): record for record in records_of(root)}

    def faults(self) -> list[str]:
        """Everything that a reader would take for whole, and is not; and what nobody owns."""
        left = [
            f"{path} is left"
            for name in ("trash", "redo", "quarantine")
            for path in (self.root / "private" / name).rglob("*")
        ]
        uploads = (fault for record in self.records.values() for fault in self._of_upload(record))
        nameless = (
            f"{path} has no record"
            for path in (self.root / "archive").glob("*/*/*/*")
            if path.name not in self.records
        )
        return [*self._of_blobs(), *uploads, *nameless, *replica_faults(self.root), *left]

    def named(self) -> set[str]:
        """The SHA-256 of every content that some upload names."""
        found: set[str] = set()
        for record in self.records.values():
            found |= {one.blob.sha256.hex for one in record.named_blobs()}
            found |= set(self._members(record).values())
        return found

    def manifests(self) -> set[str]:
        """The SHA-256 of every tree's manifest, which are blobs that nobody uploaded."""
        trees = (record.tree for record in self.records.values())
        return {tree.manifest.sha256.hex for tree in trees if tree}

    def blobs(self) -> set[str]:
        """The SHA-256 of every blob but the empty one."""
        names = {path.name.partition("~")[0] for path in (self.root / "blob").glob("*/*/*")}
        return names - {EMPTY.hex}

    def shows(self, path: str, digest: str) -> bool:
        """Whether a path below the root shows this content."""
        file = self.root / path
        return file.is_file() and self._hash(file) == digest

    def _of_blobs(self) -> Iterator[str]:
        for path in (self.root / "blob").rglob("*"):
            if path.is_file():
                actual = self._hash(path)
                place = (*path.relative_to(self.root / "blob").parts[:2], path.name.split("~")[0])
                if place != (actual[:2], actual[2:4], actual):
                    yield f"the blob {path} holds {actual}"

    def _of_upload(self, record: Record) -> Iterator[str]:
        expected = self._expected(record)
        directory = self.root / record.id.directory
        actual = {
            str(path.relative_to(self.root)): self._hash(path)
            for path in directory.rglob("*")
            if path.is_file() and path.name != ".upload.json"
        }
        if actual != expected:
            differing = sorted(dict(actual.items() ^ expected.items()))
            yield f"{directory} is not what its record says: {differing}"
        for digest in expected.values():
            if not self.shows(f"blob/{digest[:2]}/{digest[2:4]}/{digest}", digest):
                yield f"the blob {digest} of {record.id} is missing"

    def _expected(self, record: Record) -> dict[str, str]:
        """Path to SHA-256 of every file that the upload's directory has to hold."""
        files = {record.path_of(one.name): one.blob.sha256.hex for one in record.named_blobs()}
        if record.tree:
            files[f"{record.id.directory}/.manifest.jsonl"] = record.tree.manifest.sha256.hex
            for path, digest in self._members(record).items():
                files[record.path_of(f"{record.tree.name}/{path}")] = digest
        return files

    def _members(self, record: Record) -> dict[str, str]:
        if record.tree is None:
            return {}
        with (self.root / record.id.directory / ".manifest.jsonl").open("rb") as lines:
            _, entries = read_manifest(lines)
            return {entry.path: entry.blob.sha256.hex for entry in entries if entry.blob}

    def _hash(self, path: Path) -> str:
        inode = path.stat().st_ino
        if inode not in self._hashes:
            self._hashes[inode] = hashlib.sha256(path.read_bytes()).hexdigest()
        return self._hashes[inode]
