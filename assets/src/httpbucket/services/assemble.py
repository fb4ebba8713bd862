"""Assemble makes one upload of files that came one by one: a tree without an archive file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from httpbucket.content.findings import Findings, shown
from httpbucket.content.limits import UnpackLimits
from httpbucket.content.media_type import media_type_of_name
from httpbucket.content.member_names import member_path
from httpbucket.content.members import Member, MemberKind
from httpbucket.content.tree_plan import PlannedFile, TreePlan
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.errors import UnsafePath
from httpbucket.domain.filename import kept_filename
from httpbucket.domain.manifest import MANIFEST_MEDIA_TYPE, ManifestEntry, ManifestHeader
from httpbucket.domain.size import show_size
from httpbucket.domain.unpacking import UnsafeMemberName
from httpbucket.domain.upload import Finding, Receipt, Tree
from httpbucket.services.build_tree import write_manifest
from httpbucket.services.publish import Draft, Publish
from httpbucket.services.receive import Act
from httpbucket.services.retry import Retries
from httpbucket.services.terms import Terms
from httpbucket.storage.base import Staging, TreeStore

#: Which blobs the files of these numbers are.
Describe = Callable[[Sequence[int]], Sequence[Descriptor]]

_AT_ONCE = 500


@dataclass(frozen=True)
class AssemblyPlan:
    """A tree whose paths are safe: each with the number of the file that it shows."""

    name: str
    files: tuple[tuple[str, int], ...]
    findings: tuple[Finding, ...]


class Assemble:
    """Makes trees of files that are kept one by one.

    A manifest says of such a file what it is and where, and nothing of its time or mode, so that
    the same files give the same manifest, whoever sends them and however.
    """

    def __init__(
        self,
        *,
        staging: Staging,
        trees: TreeStore,
        publish: Publish,
        retries: Retries,
        digests: Sequence[str],
        limits: UnpackLimits,
    ) -> None:
        self._staging = staging
        self._trees = trees
        self._publish = publish
        self._retries = retries
        self._algorithms = tuple(dict.fromkeys((*digests, "sha256")))
        self._limits = limits

    def plan(self, name: str, names: Sequence[str]) -> AssemblyPlan:
        """Which file is where in the tree ``name``, by the names that a client gave the files.

        Of several with one path the last stays, as in archive files. Raises `EmptyFilename`,
        `UnsafePath`, and `LimitExceeded` for a path that is too long or too deep.
        """
        findings = Findings()
        plan: TreePlan[int] = TreePlan(findings)
        for number, path in enumerate(tree_paths(names, name, self._limits)):
            plan.add_file(Member(path, MemberKind.FILE), number)
        files = tuple(
            (path, planned.content)
            for path, planned in plan.entries()
            if isinstance(planned, PlannedFile)
        )
        return AssemblyPlan(kept_filename(name), files, findings.told())

    def keep(
        self,
        plan: AssemblyPlan,
        describe: Describe,
        terms: Terms,
        *,
        findings: Sequence[Finding] = (),
    ) -> Receipt:
        """Publish the tree, whose files the caller kept. Raises `KeyReused`, and as the ports.

        ``findings`` are about the way in which they came. Where the same tree came before with its
        key, the answer is that receipt.
        """
        key = terms.idempotency_key
        with (
            self._retries.turn(key, terms.is_gone) as broken_off,
            closing(Act(self._staging, self._algorithms)) as act,
        ):
            tree = self._keep_manifest(act, plan, describe)
            (earlier,) = self._retries.receipts(key, [tree.manifest.sha256], broken_off)
            log = f"Kept as tree {tree.name!r}: {tree.files} files, {show_size(tree.size)}."
            draft = Draft(
                None,
                tree=tree,
                findings=(*plan.findings, *findings),
                log=(log,),
                idempotency_key=key,
                received=terms.received,
            )
            return earlier or self._publish.publish(draft, terms.headers, days=terms.days)

    def _keep_manifest(self, act: Act, plan: AssemblyPlan, describe: Describe) -> Tree:
        """The tree, whose manifest nobody frees until the act ends."""
        size = _Sum()
        incoming = act.new_file()
        header = ManifestHeader(source=None, unpacker="", findings=plan.findings)
        write_manifest(incoming, header, size.of(self._entries(plan, describe)))
        manifest = incoming.known_as(MANIFEST_MEDIA_TYPE)
        self._trees.keep(incoming.staged, manifest.sha256)
        return Tree(plan.name, manifest, len(plan.files), size.bytes)

    def _entries(self, plan: AssemblyPlan, describe: Describe) -> Iterator[ManifestEntry]:
        """In portions, so that not all descriptors of a large tree are in memory at once."""
        files = iter(plan.files)
        while portion := list(itertools.islice(files, _AT_ONCE)):
            blobs = describe([number for _, number in portion])
            for (path, _), blob in zip(portion, blobs, strict=True):
                yield ManifestEntry(path, self._as_ever(blob, path))

    def _as_ever(self, blob: Descriptor, path: str) -> Descriptor:
        """The same, whoever described it: digests in one order, the media type by the name."""
        digests = {name: blob.digests[name] for name in self._algorithms}
        return Descriptor(digests, blob.size, blob.crc32, media_type_of_name(path))


@dataclass
class _Sum:
    """The bytes of the entries that passed."""

    bytes: int = 0

    def of(self, entries: Iterable[ManifestEntry]) -> Iterator[ManifestEntry]:
        for entry in entries:
            self.bytes += entry.blob.size if entry.blob else 0
            yield entry


def tree_paths(names: Sequence[str], tree: str, limits: UnpackLimits) -> list[str]:
    """The paths in a tree that clients mean by these names: ``./a``, or ``results/a``.

    A directory in front of them all that is called as the tree is the tree itself. Raises
    `UnsafePath`, and `LimitExceeded`.
    """
    paths = [_checked_path(name, limits) for name in names]
    front = f"{tree.strip('/')}/"
    if all(path.startswith(front) for path in paths):
        return [path.removeprefix(front) for path in paths]
    return paths


def _checked_path(name: str, limits: UnpackLimits) -> str:
    try:
        path = member_path(name, limits)
    except UnsafeMemberName as error:
        reason = error.detail["reason"]
        raise UnsafePath(f"The path {shown(name)} {reason}; nothing was kept.") from error
    if not path or name.endswith("/"):
        raise UnsafePath(f"The path {shown(name)} names no file; nothing was kept.")
    return path
