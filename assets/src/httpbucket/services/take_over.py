"""Take over: everything that a store of the original holds becomes uploads here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from httpbucket.content.hashing import ContentHasher
from httpbucket.content.media_type import HEAD_BYTES, suffix_of
from httpbucket.domain.digest import Digest, sha256
from httpbucket.domain.errors import DigestMismatch, EmptyFilename, NotTakenOver, UnsafePath
from httpbucket.domain.template import ReplicaTemplate
from httpbucket.domain.unpacking import LimitExceeded
from httpbucket.services.ingest import Ingest, Offer
from httpbucket.services.old_trees import listed, offers, pieces
from httpbucket.services.receive import Act
from httpbucket.services.terms import Terms
from httpbucket.storage.base import Index, OldFile, OldStore

_REFUSALS = (NotTakenOver, DigestMismatch, EmptyFilename, UnsafePath, LimitExceeded)

#: The header of the record that says where an upload was in the old store.
FROM = "meta-imported-from"

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class TakenOver:
    """What was done: uploads made, what was here before, and the paths with what is wrong."""

    uploads: int = 0
    size: int = 0
    known: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it."""
        return {
            "uploads": self.uploads,
            "size": self.size,
            "known": self.known,
            "refused": self.refused,
            "strangers": self.strangers,
        }


@dataclass(frozen=True)
class _Found:
    """What the bytes of an old file are; of a tree ``content`` is that of its list."""

    content: Digest
    size: int
    head: bytes


class TakeOver:
    """Each name of a replica becomes an upload, and each blob that has none.

    Trees whose archive file is gone become trees of files.

    The old store is only read. Every blob is checked against its name; what does not fit is
    refused, and the rest goes on. What was taken over is known again, so it may be repeated.
    """

    def __init__(
        self,
        *,
        ingest: Ingest,
        index: Index,
        templates: Sequence[ReplicaTemplate],
        media_type_of: Callable[[bytes], str],
        now: Callable[[], datetime],
    ) -> None:
        self._ingest = ingest
        self._index = index
        self._templates = templates
        self._media_type_of = media_type_of
        self._now = now

    def run(
        self,
        old: OldStore,
        *,
        dry_run: bool = False,
        on_file: Callable[[OldFile, bool], None] = lambda file, is_new: None,
    ) -> TakenOver:
        """Take everything over; ``on_file`` is told of each file, and whether it is new here.

        The index has to be complete.
        """
        done, planned = TakenOver(), set[Digest]()
        for file in self._every(old):
            try:
                is_new = self._take(old, file, done, planned, dry_run=dry_run)
            except _REFUSALS as error:
                done.refused[file.path] = str(error)
            else:
                on_file(file, is_new)
        done.strangers += old.strangers()
        return done

    def _every(self, old: OldStore) -> Iterator[OldFile]:
        # Names first, so that a blob has its name; trees next, which name their members.
        yield from old.names()
        yield from old.blobs()

    def _take(
        self, old: OldStore, file: OldFile, done: TakenOver, planned: set[Digest], *, dry_run: bool
    ) -> bool:
        found = self._checked(old, file)
        is_here = self._is_here(file, found, planned)
        planned.add(found.content)
        # Of a dry run no tree is here that would hold it.
        if is_here or (dry_run and file.is_member):
            done.known += 1
            return False
        if not dry_run:
            self._keep(old, file, found)
        done.uploads += 1
        done.size += found.size
        return True

    def _checked(self, old: OldStore, file: OldFile) -> _Found:
        if file.tree:
            return _Found(*listed(old, file.tree), b"")
        if file.source is None:
            raise NotTakenOver("It leads to nothing that can be taken over.")
        hasher = ContentHasher([file.digest.algorithm] if file.digest else [])
        head = b""
        for piece in pieces(old, file.source):
            head = head or piece[:HEAD_BYTES]
            hasher.update(piece)
        digests = hasher.digests()
        if file.digest and digests[file.digest.algorithm] != file.digest.hex:
            raise DigestMismatch(f"Its bytes are not those of {file.digest}.")
        return _Found(sha256(digests["sha256"]), hasher.size, head)

    def _is_here(self, file: OldFile, found: _Found, planned: set[Digest]) -> bool:
        if not file.directory and found.content in planned:
            return True
        if file.directory or file.tree:
            return bool(self._index.find_retried(_key(file, found), since=_BEGIN))
        return bool(self._index.find(found.content))

    def _keep(self, old: OldStore, file: OldFile, found: _Found) -> None:
        headers = self._headers(file.directory) | {FROM: file.path}
        terms = Terms(
            headers=headers,
            idempotency_key=_key(file, found),
            received=min(file.received, self._now()),
        )
        with closing(self._ingest.begin(is_limited=False)) as act:
            if file.tree:
                self._keep_tree(old, file, terms, act)
                return
            assert file.source is not None, "it was read before"
            suffix = suffix_of(self._media_type_of(found.head)) if file.is_stem else ""
            incoming = act.new_file()
            for piece in pieces(old, file.source):
                incoming.write(piece)
            offer = Offer(incoming, f"{file.filename}{suffix}", expected=(found.content,))
            self._ingest.keep(offer, terms)

    def _keep_tree(self, old: OldStore, file: OldFile, terms: Terms, act: Act) -> None:
        files = list(offers(old, file.tree, file.filename, act))
        self._ingest.keep_tree(file.filename, files, terms)

    def _headers(self, directory: str) -> dict[str, str]:
        """What the producer must have sent for its file to come to this directory."""
        read = (template.values_of(directory) for template in self._templates)
        return dict(next(filter(None, read), {}))


def _key(file: OldFile, found: _Found) -> str:
    return f"import {file.path} {found.content.hex}"
