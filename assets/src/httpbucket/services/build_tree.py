"""Build a tree: read the members of an archive file into blobs and a manifest."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from httpbucket.content.archive import UNPACKER_VERSION, read_archive
from httpbucket.content.findings import Findings
from httpbucket.content.hashing import digests_of
from httpbucket.content.kind import ArchiveKind
from httpbucket.content.limits import Budget
from httpbucket.content.media_type import media_type_of_name
from httpbucket.content.members import MemberKind
from httpbucket.content.tree_plan import Planned, PlannedFile, TreePlan
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest, sha256
from httpbucket.domain.manifest import (
    MANIFEST_MEDIA_TYPE,
    ManifestEntry,
    ManifestHeader,
    manifest_lines,
)
from httpbucket.domain.packed import Packing
from httpbucket.domain.upload import Finding
from httpbucket.services.receive import Act, IncomingFile
from httpbucket.storage.base import BlobBatch, BlobStore, TreeStore

_MANIFEST_PIECE = 256 * 1024


@dataclass
class BuiltTree:
    """A tree whose members and manifest are staged; end it with `discard`, also after `keep`."""

    manifest: Descriptor
    files: int
    size: int
    findings: tuple[Finding, ...]
    members: BlobBatch
    _manifest_file: IncomingFile

    def keep(self, trees: TreeStore) -> None:
        """Make blobs of the members, then of the manifest that names them."""
        self.members.keep()
        trees.keep(self._manifest_file.staged, self.manifest.sha256)

    def rest(self) -> None:
        """As `StagedFile.rest`."""
        self._manifest_file.rest()

    def discard(self) -> None:
        """Forget what was not kept, and hold nothing any more. May be repeated."""
        self.members.discard()


class TreeBuilder:
    """Reads one archive file. ``act`` stages what is too large to be held in memory."""

    def __init__(
        self, blobs: BlobStore, act: Act, digests: Sequence[str], check: Callable[[], None]
    ) -> None:
        self._act = act
        self._check = check
        # A plan may hold 100,000 members.
        self._packing = Packing(digests)
        self._identity = self._packing.algorithms.index("sha256")
        self._batch = blobs.batch()
        self._taken: list[bytes] = []
        self._with_content: set[str] = set()
        self._without_content: set[str] = set()

    def build(
        self, reader: BinaryIO, kind: ArchiveKind, source: Digest, budget: Budget
    ) -> BuiltTree:
        """Read every member. Raises `CannotUnpack`, what ``check`` raises, and what ports raise.

        ``check`` is called before each member and may end the work.
        """
        findings = Findings()
        try:
            plan = self._plan(reader, kind, budget, findings)
            # The last findings come with the plan's entries, and the header comes before those.
            planned = list(plan.entries())
            self._forget_what_no_entry_names(planned)
            self._settle(plan, planned)
            header = ManifestHeader(
                source, UNPACKER_VERSION, budget.limits.as_mapping(), findings.told()
            )
            return self._written(header, planned)
        except BaseException:
            self._batch.discard()
            raise

    def _plan(
        self, reader: BinaryIO, kind: ArchiveKind, budget: Budget, findings: Findings
    ) -> TreePlan[bytes]:
        plan: TreePlan[bytes] = TreePlan(findings)
        for member, content in read_archive(reader, kind, budget=budget, findings=findings):
            self._check()
            if member.kind is MemberKind.FILE:
                self._taken.append(self._take(content, member.path))
                self._with_content.add(member.path)
                plan.add_file(member, self._taken[-1])
            else:
                self._without_content.add(member.path)
                plan.add(member)
        return plan

    def _forget_what_no_entry_names(self, planned: Iterable[_PlannedEntry]) -> None:
        """A member may give way to a later one of its name, after its content was taken."""
        named = {entry.content for _, entry in planned if isinstance(entry, PlannedFile)}
        for packed in set(self._taken) - named:
            self._batch.forget(self._packing.unpack(packed, "").sha256)

    def _settle(self, plan: TreePlan[bytes], planned: Iterable[_PlannedEntry]) -> None:
        """Links and empty directories came without content, which could be staged at their path.

        Where a path came both ways, it is not known here which of the two the tree has.
        """
        if plan.has_left_out or not self._with_content.isdisjoint(self._without_content):
            self._batch.settle(None)
        else:
            self._batch.settle([path for path, _ in planned if path in self._without_content])

    def _take(self, content: Iterable[bytes], path: str) -> bytes:
        """Stage a member's content; what is known of it then, packed."""
        pieces = iter(content)
        first = next(pieces, b"")
        second = next(pieces, None)
        if second is None:
            raw = digests_of(first, self._packing.algorithms)
            self._batch.add_bytes(first, sha256(raw[self._identity].hex()), path)
            return self._packing.pack_raw(raw, len(first), zlib.crc32(first))
        return self._take_large(itertools.chain((first, second), pieces), path)

    def _take_large(self, pieces: Iterable[bytes], path: str) -> bytes:
        incoming = self._act.new_file()
        for piece in pieces:
            self._check()
            incoming.write(piece)
        hasher = incoming.hasher
        digests = hasher.digests()
        self._batch.add_staged(incoming.staged, sha256(digests["sha256"]), path)
        return self._packing.pack(digests, hasher.size, hasher.crc32)

    def _written(self, header: ManifestHeader, planned: Sequence[_PlannedEntry]) -> BuiltTree:
        manifest_file = self._act.new_file()
        write_manifest(manifest_file, header, self._entries(planned))
        packed = [entry.content for _, entry in planned if isinstance(entry, PlannedFile)]
        return BuiltTree(
            manifest=manifest_file.describe(lambda _: MANIFEST_MEDIA_TYPE),
            files=len(packed),
            size=sum(map(self._packing.size, packed)),
            findings=header.findings,
            members=self._batch,
            _manifest_file=manifest_file,
        )

    def _entries(self, planned: Iterable[_PlannedEntry]) -> Iterator[ManifestEntry]:
        for path, entry in planned:
            if isinstance(entry, PlannedFile):
                blob = self._packing.unpack(entry.content, media_type_of_name(path))
                yield ManifestEntry(path, blob, executable=entry.executable, mtime=entry.mtime)
            else:
                yield ManifestEntry(path, None, mtime=entry.mtime)


_PlannedEntry = tuple[str, Planned[bytes]]


def write_manifest(
    target: IncomingFile, header: ManifestHeader, entries: Iterable[ManifestEntry]
) -> None:
    """Write a manifest, whose entries come in order of path."""
    for piece in _joined(manifest_lines(header, entries)):
        target.write(piece)


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines in pieces that are worth a system call."""
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= _MANIFEST_PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
