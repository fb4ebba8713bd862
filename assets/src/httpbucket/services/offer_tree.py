"""OfferTree takes a tree by paths and digests, and later only what the store had not."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from httpbucket.content.findings import Findings, shown
from httpbucket.content.limits import UnpackLimits
from httpbucket.content.member_names import decode_name, member_path
from httpbucket.domain.checksum_file import ChecksumEntry
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import (
    BucketError,
    MalformedChecksums,
    MissingFile,
    PendingTreeNotFound,
    TooManyChecksums,
)
from httpbucket.domain.pending_tree import PendingTree, WantedFile
from httpbucket.domain.upload import Finding, Receipt, Record
from httpbucket.services.assemble import Assemble, AssemblyPlan
from httpbucket.services.kept_already import KeptAlready, KnownContents
from httpbucket.services.leases import Leases
from httpbucket.services.load_record import load_record
from httpbucket.services.receive import Content
from httpbucket.services.receive_members import ReceiveMembers
from httpbucket.services.retry import Retries
from httpbucket.services.terms import Terms
from httpbucket.services.unpack import check_client
from httpbucket.storage.base import PendingTrees, Records

logger = logging.getLogger(__name__)

_NOTHING_CAME = (
    "None of the files that are missing came; send them as a tar, with the paths that they have "
    "in the list, and look whether tar printed an error."
)


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
        kept: KeptAlready,
        records: Records,
        retries: Retries,
        leases: Leases,
        limits: UnpackLimits,
        keep_seconds: int,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._pending = pending
        self._assemble = assemble
        self._members = members
        self._kept = kept
        self._records = records
        self._retries = retries
        self._leases = leases
        self._limits = limits
        self._keep_seconds = keep_seconds
        self._now = now
        self._new_id = new_id

    def offer(self, name: str, entries: Iterable[ChecksumEntry], terms: Terms) -> TreeAnswer:
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
        tree = PendingTree(
            self._new_id(),
            name,
            expires,
            files,
            headers=terms.headers,
            days=terms.days,
            idempotency_key=terms.idempotency_key,
        )
        return self._settle(tree, self._known(tree))

    def look(self, id: str) -> TreeAnswer:
        """The same of a tree that was offered. Raises `PendingTreeNotFound`."""
        with self._pending.hold(id) as tree:
            answer = self._published(tree)
            return answer or TreeAnswer(id, _missing(tree, self._known(tree)))

    def complete(self, id: str, archive: Content, terms: Terms) -> TreeAnswer:
        """Take what is missing out of an archive file, then answer as `offer`.

        Of two who do so at once, the second waits and gets the receipt of the first. Raises
        `PendingTreeNotFound`, `Busy`, `ClientGone`, `MissingFile` when nothing came of what is
        missing (a script would take any answer for success), and what `offer` and
        `ReceiveMembers.received` raise.
        """
        with self._pending.hold(id, lambda: check_client(terms.is_gone)) as tree:
            if published := self._published(tree):
                return published
            known = self._known(tree)
            wanted = {self._member_path(file): file.digest for file in tree.files}
            missing = {digest for digest in wanted.values() if digest not in known}
            findings = Findings()
            with self._members.received(archive, wanted, missing, findings, terms) as received:
                if missing and not received:
                    raise MissingFile(_NOTHING_CAME, missing=len(missing))
                for digest, blob in received.items():
                    known.add(digest, blob)
                every = {**tree.received, **received}
                return self._settle(replace(tree, received=every), known, findings.told())

    def _settle(
        self, tree: PendingTree, known: KnownContents, findings: Sequence[Finding] = ()
    ) -> TreeAnswer:
        plan = self._plan(tree)
        self._refuse_contradictions(tree)
        if not _missing(tree, known):
            # What goes before it is held is missing after all.
            with self._kept.held(known):
                if not _missing(tree, known):
                    return self._publish(tree, plan, known, findings)
        self._pending.save(tree)
        # So that what is known stays for as long as the rest may come.
        self._leases.grant_until(set(known.sha256()), tree.expires)
        return TreeAnswer(tree.id, _missing(tree, known))

    def _publish(
        self,
        tree: PendingTree,
        plan: AssemblyPlan,
        known: KnownContents,
        findings: Sequence[Finding],
    ) -> TreeAnswer:
        described = lambda numbers: [known[tree.files[one].digest] for one in numbers]  # noqa: E731
        receipt = self._assemble.keep(plan, described, _terms(tree), findings=findings)
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
        record = load_record(self._records, tree.upload) if tree.upload else self._found(tree)
        if record is None:
            return None
        log = ("The tree was complete already.",)
        return TreeAnswer(tree.id, receipt=Receipt(record, log, is_replay=True))

    def _found(self, tree: PendingTree) -> Record | None:
        """The upload that a process made of the tree which died before it noted that here."""
        if tree.idempotency_key:
            # By the client's own key it is found once it is known what came with it.
            return None
        with self._retries.turn(_key(tree)) as broken_off:
            return self._retries.first(_key(tree), broken_off)

    def _plan(self, tree: PendingTree) -> AssemblyPlan:
        return self._assemble.plan(tree.name, [_member_name(file.path) for file in tree.files])

    def _refuse_contradictions(self, tree: PendingTree) -> None:
        """Raise `MalformedChecksums` for a path that is to have two digests."""
        digests: dict[str, Digest] = {}
        for file in tree.files:
            path = self._member_path(file)
            if digests.setdefault(path, file.digest) != file.digest:
                raise MalformedChecksums(
                    f"The list names {shown(path)} with two digests, {digests[path]} and "
                    f"{file.digest}; expected one."
                )

    def _member_path(self, file: WantedFile) -> str:
        return member_path(_member_name(file.path), self._limits)

    def _known(self, tree: PendingTree) -> KnownContents:
        return self._kept.find((file.digest for file in tree.files), tree.received)


def _key(tree: PendingTree) -> str:
    """By what its upload is known, should the process die before that is noted here."""
    return f"tree {tree.id}"


def _terms(tree: PendingTree) -> Terms:
    return Terms(
        headers=tree.headers,
        days=tree.days,
        idempotency_key=tree.idempotency_key or _key(tree),
    )


def _missing(tree: PendingTree, known: KnownContents) -> tuple[str, ...]:
    """A path for each content that is not there, in the order of the client's list."""
    first: dict[Digest, str] = {}
    for file in tree.files:
        if file.digest not in known:
            first.setdefault(file.digest, file.path)
    return tuple(first.values())


def _wanted(entry: ChecksumEntry) -> WantedFile:
    # What coreutils prints: a digest of 64 digits is a SHA-256, whatever else it could be.
    return WantedFile(entry.name, entry.question[0])


def _member_name(path: str) -> str:
    """The name that a member of an archive file has for this path."""
    return decode_name(path.encode("utf-8", "surrogateescape"))
