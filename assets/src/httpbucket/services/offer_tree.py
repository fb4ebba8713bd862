"""OfferTree takes a tree by paths and digests, and later only what the store had not."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from httpbucket.content.findings import Findings
from httpbucket.content.limits import UnpackLimits
from httpbucket.content.member_names import decode_name, member_path
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.checksum_file import ChecksumEntry
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import (
    BucketError,
    ContentVanished,
    MalformedChecksums,
    PendingTreeNotFound,
    TooManyChecksums,
)
from httpbucket.domain.pending_tree import PendingTree, WantedFile
from httpbucket.domain.upload import Finding, Receipt
from httpbucket.services.assemble import Assemble, AssemblyPlan
from httpbucket.services.ingest import Terms
from httpbucket.services.receive import Content
from httpbucket.services.receive_members import ReceiveMembers
from httpbucket.storage.base import BlobStore, Index, PendingTrees, Records

logger = logging.getLogger(__name__)

_AT_ONCE = 8192


@dataclass(frozen=True)
class TreeAnswer:
    """What a client is told of its tree: the receipt, or a path for each content that is missing.

    The paths are as the client wrote them.
    """

    id: str
    missing: tuple[str, ...] = ()
    receipt: Receipt | None = None


class OfferTree:
    """Takes trees of which most is kept already.

    What is missing is asked for anew each time, so that nothing depends on an earlier answer:
    whatever went in between is simply missing again.
    """

    def __init__(
        self,
        *,
        pending: PendingTrees,
        assemble: Assemble,
        members: ReceiveMembers,
        blobs: BlobStore,
        records: Records,
        index: Index,
        digests: Sequence[str],
        limits: UnpackLimits,
        keep_seconds: int,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._pending = pending
        self._assemble = assemble
        self._members = members
        self._blobs = blobs
        self._records = records
        self._index = index
        self._digests = frozenset(digests)
        self._limits = limits
        self._keep_seconds = keep_seconds
        self._now = now
        self._new_id = new_id

    def offer(
        self, name: str, entries: Iterable[ChecksumEntry], headers: Mapping[str, str]
    ) -> TreeAnswer:
        """Publish the tree, if all of it is kept; else remember it, and say what is missing.

        Raises what `Assemble` raises, `TooManyChecksums`, `MalformedChecksums` and what the ports
        raise.
        """
        expires = self._now() + timedelta(seconds=self._keep_seconds)
        most = self._limits.max_members
        files = tuple(itertools.islice(map(_wanted, entries), most + 1))
        if len(files) > most:
            raise TooManyChecksums(f"The tree has more than {most} files (UNPACK_MAX_MEMBERS).")
        if not files:
            raise MalformedChecksums("The list names no file; expected what sha256sum prints.")
        tree = PendingTree(self._new_id(), name, expires, files, headers=headers)
        return self._settle(tree)

    def look(self, id: str) -> TreeAnswer:
        """The same of a tree that was offered. Raises `PendingTreeNotFound`."""
        with self._pending.hold(id) as tree:
            answer = self._published(tree)
            return answer or TreeAnswer(id, self._missing(tree, self._plan(tree)))

    def complete(self, id: str, archive: Content, terms: Terms) -> TreeAnswer:
        """Take what is missing out of an archive file, then answer as `offer`.

        Of two who do so at once, the second waits and gets the receipt of the first. Raises
        `PendingTreeNotFound`, and what `offer` and `ReceiveMembers.receive` raise.
        """
        with self._pending.hold(id) as tree:
            if published := self._published(tree):
                return published
            wanted = {self._member_path(file): file.digest for file in tree.files}
            missing = self._unknown(tree, wanted.values())
            findings = Findings()
            with self._members.received(archive, wanted, missing, findings, terms) as received:
                every = {**tree.received, **received}
                return self._settle(replace(tree, received=every), findings.told())

    def _settle(self, tree: PendingTree, findings: Sequence[Finding] = ()) -> TreeAnswer:
        plan = self._plan(tree)
        if missing := self._missing(tree, plan):
            self._pending.save(tree)
            self._lease(tree)
            return TreeAnswer(tree.id, missing)
        described = lambda numbers: self._of_numbers(tree, numbers)  # noqa: E731
        receipt = self._assemble.keep(plan, described, tree.headers, findings=findings)
        self._remember(PendingTree(tree.id, tree.name, tree.expires, upload=receipt.record.id))
        return TreeAnswer(tree.id, receipt=receipt)

    def _remember(self, published: PendingTree) -> None:
        """So that asking again gives the same upload. It is no part of the promise."""
        try:
            self._pending.save(published)
        except BucketError:
            logger.warning(
                "That upload %s is a tree was forgotten.", published.upload, exc_info=True
            )

    def _published(self, tree: PendingTree) -> TreeAnswer | None:
        if tree.expires < self._now():
            raise PendingTreeNotFound(tree.id)
        if tree.upload is None:
            return None
        record = self._records.load(tree.upload)
        return TreeAnswer(tree.id, receipt=Receipt(record, ("The tree was complete already.",)))

    def _plan(self, tree: PendingTree) -> AssemblyPlan:
        return self._assemble.plan(tree.name, [_member_name(file.path) for file in tree.files])

    def _member_path(self, file: WantedFile) -> str:
        return member_path(_member_name(file.path), self._limits)

    def _missing(self, tree: PendingTree, plan: AssemblyPlan) -> tuple[str, ...]:
        """A path for each content that is not there, in the order of the client's list."""
        files = [tree.files[number] for number in sorted(number for _, number in plan.files)]
        unknown = self._unknown(tree, (file.digest for file in files))
        first: dict[Digest, str] = {}
        for file in files:
            if file.digest in unknown:
                first.setdefault(file.digest, file.path)
        return tuple(first.values())

    def _unknown(self, tree: PendingTree, digests: Iterable[Digest]) -> set[Digest]:
        unknown: set[Digest] = set()
        waiting = iter(dict.fromkeys(digests))
        while portion := list(itertools.islice(waiting, _AT_ONCE)):
            unknown |= set(portion) - self._described(tree, portion).keys()
        return unknown

    def _of_numbers(self, tree: PendingTree, numbers: Sequence[int]) -> list[Descriptor]:
        digests = [tree.files[number].digest for number in numbers]
        described = self._described(tree, digests)
        try:
            return [described[digest] for digest in digests]
        except KeyError as error:
            raise ContentVanished(f"The content {error} has gone meanwhile; ask again.") from None

    def _described(
        self, tree: PendingTree, digests: Collection[Digest]
    ) -> dict[Digest, Descriptor]:
        """What is known of those contents that are kept and that a digest means without doubt."""
        found = {digest: tree.received[digest] for digest in digests if digest in tree.received}
        for algorithm in {digest.algorithm for digest in digests}:
            values = {one.value for one in digests if one.algorithm == algorithm}
            found |= self._known(algorithm, values)
        kept = self._blobs.kept({blob.sha256.value for blob in found.values()})
        return {digest: blob for digest, blob in found.items() if blob.sha256.value in kept}

    def _known(self, algorithm: str, values: Collection[bytes]) -> dict[Digest, Descriptor]:
        """From the index; those of a time when other digests were recorded are to come again."""
        pairs = self._index.find_many(algorithm, values)
        times = Counter(value for value, _ in pairs)
        blobs = self._index.describe_many({sha256 for _, sha256 in pairs})
        return {
            Digest.of(algorithm, value): blobs[sha256]
            for value, sha256 in pairs
            if times[value] == 1
            and sha256 in blobs
            and self._digests <= blobs[sha256].digests.keys()
        }

    def _lease(self, tree: PendingTree) -> None:
        """Have what is known stay for as long as the rest may come."""
        waiting = iter(dict.fromkeys(file.digest for file in tree.files))
        while portion := list(itertools.islice(waiting, _AT_ONCE)):
            known = {blob.sha256.value for blob in self._described(tree, portion).values()}
            self._index.lease(known, at_least=tree.expires, until=tree.expires)


def _wanted(entry: ChecksumEntry) -> WantedFile:
    # What coreutils prints: a digest of 64 digits is a SHA-256, whatever else it could be.
    return WantedFile(entry.name, entry.question[0])


def _member_name(path: str) -> str:
    """The name that a member of an archive file has for this path."""
    return decode_name(path.encode("utf-8", "surrogateescape"))
