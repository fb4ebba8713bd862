"""ReceiveMembers takes files that are wanted out of an archive file, and checks that they are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from httpbucket.content.archive import read_archive
from httpbucket.content.decompress import decompress
from httpbucket.content.findings import Findings, shown
from httpbucket.content.kind import ArchiveKind, Compression, recognise
from httpbucket.content.limits import Budget, UnpackLimits
from httpbucket.content.media_type import media_type_of_name
from httpbucket.content.members import Entry, MemberKind
from httpbucket.content.tar import read_tar
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.sent_digest import require_equal
from httpbucket.domain.unpacking import UnsupportedArchive
from httpbucket.services.receive import Act, Content
from httpbucket.services.terms import Terms
from httpbucket.services.unpack import check_client
from httpbucket.storage.base import BlobStore, Staging

#: What the headers and the padding of an archive file may take beside its files.
FRAMING_BYTES = 256 * 1024**2

#: Waits for a place among those who unpack.
Place = Callable[[Callable[[], None]], AbstractContextManager[None]]


@dataclass(frozen=True)
class _Wanted:
    """Which paths there are, which contents are missing, and what of these came."""

    digests: Mapping[str, Digest]
    missing: Collection[Digest]
    contents: dict[Digest, Content]


class ReceiveMembers:
    """Reads an archive file for the sake of some members; it is not kept itself."""

    def __init__(
        self,
        *,
        staging: Staging,
        blobs: BlobStore,
        media_type_of: Callable[[bytes], str],
        digests: Sequence[str],
        limits: UnpackLimits,
        max_content_length: int,
        place: Place,
    ) -> None:
        self._staging = staging
        self._blobs = blobs
        self._media_type_of = media_type_of
        self._digests = digests
        self._limits = limits
        self._max_content_length = max_content_length
        self._place = place

    def begin(self) -> Act:
        """A new act of a client, to receive an archive file with. Its digests are not wanted."""
        limit = self._max_content_length
        return Act(self._staging, (), limit=limit, framing=FRAMING_BYTES)

    @contextmanager
    def received(
        self,
        archive: Content,
        digests: Mapping[str, Digest],
        missing: Collection[Digest],
        findings: Findings,
        terms: Terms,
    ) -> Iterator[dict[Digest, Descriptor]]:
        """Keep those members whose content is ``missing``, and describe them.

        ``digests`` says which digest each path has to have; a member at no such path is left out,
        and told in ``findings``. Raises `DigestMismatch`, `TooLarge`, `CannotUnpack`, `ClientGone`
        and what the ports raise; then nothing was kept.
        """
        algorithms = {digest.algorithm for digest in missing}
        every = (*dict.fromkeys((*self._digests, *sorted(algorithms))),)
        act = Act(self._staging, every, limit=self._max_content_length, blobs=self._blobs)
        wanted = _Wanted(digests, missing, {})
        try:
            self._read(archive, wanted, act, findings, lambda: check_client(terms.is_gone))
            for content in wanted.contents.values():
                content.keep(self._blobs, content.known_as("").sha256)
            yield {
                digest: content.known_as(media_type_of_name(""))
                for digest, content in wanted.contents.items()
            }
        finally:
            act.close()

    def _read(
        self,
        archive: Content,
        wanted: _Wanted,
        act: Act,
        findings: Findings,
        check: Callable[[], None],
    ) -> None:
        size = archive.known_as("").size
        if not archive.head.strip(b"\x00"):
            # What tars make of an empty list, which libmagic does not know.
            return
        budget = Budget(self._limits, source_size=size)
        scratch = Act(self._staging, ())
        try:
            with self._place(check), self._opened(archive, scratch, budget, check) as entries:
                for member, pieces in entries:
                    check()
                    if member.kind is MemberKind.FILE:
                        _take(member.path, pieces, wanted, act, findings)
        finally:
            scratch.close()

    @contextmanager
    def _opened(
        self, archive: Content, scratch: Act, budget: Budget, check: Callable[[], None]
    ) -> Iterator[Iterator[Entry]]:
        kind = recognise(self._media_type_of(archive.head), archive.head)
        if isinstance(kind, Compression):
            target = scratch.new_file()
            with archive.open() as packed:
                for piece in decompress(packed, kind, budget=budget, findings=Findings()):
                    check()
                    target.write(piece)
            budget.next_stage(target.known_as("").size)
            archive, kind = target, recognise(self._media_type_of(target.head), target.head)
        if not isinstance(kind, ArchiveKind):
            raise UnsupportedArchive("The body is no tar or zip of the files that are missing.")
        with archive.open() as reader:
            # What the archive file is like otherwise concerns nobody: it is not kept.
            told = Findings()
            if kind is ArchiveKind.TAR:
                yield read_tar(reader, budget=budget, findings=told, joined=True)
            else:
                yield read_archive(reader, kind, budget=budget, findings=told)


def _take(
    path: str, pieces: Iterable[bytes], wanted: _Wanted, act: Act, findings: Findings
) -> None:
    digest = wanted.digests.get(path)
    if digest is None:
        sentence = f"Member {shown(path)} is no file of the tree; it was left out."
        findings.add("member-left-out", sentence)
        return
    if digest not in wanted.missing or digest in wanted.contents:
        return
    incoming = act.new_file()
    for piece in pieces:
        incoming.write(piece)
    actual = Digest(digest.algorithm, incoming.hasher.digests()[digest.algorithm])
    require_equal(digest, actual, what=f"member {shown(path)}")
    wanted.contents[digest] = act.put_aside(incoming)
