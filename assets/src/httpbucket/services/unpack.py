"""Unpack finds what is inside a file: a decompressed stream, a tree, or a reason why not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from httpbucket.content.crew import Crew
from httpbucket.content.decompress import decompress
from httpbucket.content.findings import Findings
from httpbucket.content.kind import ArchiveKind, Compression, recognise
from httpbucket.content.limits import Budget, UnpackLimits
from httpbucket.content.media_type import HEAD_BYTES
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.errors import BlobNotFound, ClientGone
from httpbucket.domain.size import show_size
from httpbucket.domain.suffixes import decompressed_name, stays_packed, tree_name
from httpbucket.domain.unpacking import CannotUnpack, UnpackWish, UnsupportedArchive
from httpbucket.domain.upload import Finding, NamedBlob, Tree
from httpbucket.services.build_tree import BuiltTree, TreeBuilder
from httpbucket.services.earlier import EarlierUploads
from httpbucket.services.receive import Act, Content, IncomingFile
from httpbucket.storage.base import BlobStore, Staging, TreeStore

_LOOK_SECONDS = 1.0


@dataclass
class Unpacked:
    """What was found inside one file; what is new of it is staged until `keep`."""

    decompressed: NamedBlob | None = None
    tree: Tree | None = None
    findings: list[Finding] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    decompressed_file: IncomingFile | None = None
    built: BuiltTree | None = None

    @property
    def is_tree_of_earlier(self) -> bool:
        """Whether the tree is one that an earlier upload left."""
        return self.tree is not None and self.built is None

    def keep(self, blobs: BlobStore, trees: TreeStore) -> None:
        """Make blobs of all of it; afterwards a record may name them."""
        if self.decompressed_file and self.decompressed:
            blobs.keep(self.decompressed_file.staged, self.decompressed.blob.sha256)
        if self.built:
            self.built.keep(trees)

    def rest(self) -> None:
        """As `StagedFile.rest`, until `keep`."""
        if self.decompressed_file:
            self.decompressed_file.rest()
        if self.built:
            self.built.rest()


@dataclass(frozen=True)
class _Source:
    """A content that may have something inside: what it is, and how to read it."""

    blob: Descriptor
    head: bytes
    open: Callable[[], BinaryIO]


@dataclass(frozen=True)
class _Task:
    """One file's unpacking: where new things are staged, and what was found so far.

    ``holds`` keeps what earlier uploads left from being freed with them.
    """

    filename: str
    act: Act
    holds: ExitStack
    check: Callable[[], None]
    budget: Budget
    unpacked: Unpacked
    anew: bool


class Unpack:
    """Decompresses files and reads archive files, or finds that this was done before.

    What cannot be unpacked is a finding, not an error, unless the client requires it. At most
    ``concurrency`` files are worked on at a time; others wait. With a ``crew`` what comes out of a
    large file is hashed beside being decompressed.
    """

    def __init__(
        self,
        *,
        staging: Staging,
        blobs: BlobStore,
        trees: TreeStore,
        earlier: EarlierUploads,
        media_type_of: Callable[[bytes], str],
        digests: Sequence[str],
        limits: UnpackLimits,
        stay_packed: Sequence[str],
        concurrency: int,
        crew: Crew | None = None,
    ) -> None:
        self._staging = staging
        self._blobs = blobs
        self._trees = trees
        self._earlier = earlier
        self._media_type_of = media_type_of
        self._digests = digests
        self._limits = limits
        self._stay_packed = stay_packed
        self._crew = crew
        self._places = threading.BoundedSemaphore(concurrency)

    @contextmanager
    def inside(
        self,
        incoming: Content,
        uploaded: NamedBlob,
        *,
        wish: UnpackWish = UnpackWish.AUTO,
        is_gone: Callable[[], bool] = lambda: False,
        anew: bool = False,
    ) -> Iterator[Unpacked]:
        """What is inside the file; at the end all that was not kept of it is gone.

        ``is_gone`` is asked now and then whether the client has stopped waiting. Raises
        `ClientGone` when it has, and `CannotUnpack` when ``wish`` requires what cannot be done.
        ``anew`` unpacks a file that is kept already, although an earlier upload did so.
        """
        task = _Task(
            filename=uploaded.name,
            act=Act(self._staging, self._digests, crew=self._crew),
            holds=ExitStack(),
            check=lambda: check_client(is_gone),
            budget=Budget(self._limits, source_size=uploaded.blob.size),
            unpacked=Unpacked(),
            anew=anew,
        )
        try:
            if self._is_wanted(uploaded.name, wish, task.unpacked):
                # What was kept cannot be read where it was staged any more.
                kept = self._kept_opener(uploaded.blob)
                opener = kept if anew else incoming.open
                source = _Source(uploaded.blob, incoming.head, opener)
                self._look_inside(source, task, wish)
            yield task.unpacked
        finally:
            task.holds.close()
            task.act.close()
            if task.unpacked.built:
                # Not before: until a record names them, this holds the members.
                task.unpacked.built.discard()

    def _is_wanted(self, filename: str, wish: UnpackWish, unpacked: Unpacked) -> bool:
        if wish is UnpackWish.FALSE:
            unpacked.log.append("Left packed, as the client asked.")
            return False
        if stays_packed(filename, self._stay_packed) and not wish.is_asked:
            unpacked.log.append("Left packed, because of its name; Unpack: true unpacks it.")
            return False
        return True

    def _look_inside(self, source: _Source, task: _Task, wish: UnpackWish) -> None:
        try:
            kind = recognise(source.blob.media_type, source.head, asked=wish.is_asked)
            if kind is None and wish is UnpackWish.REQUIRE:
                media_type = source.blob.media_type
                raise UnsupportedArchive(f"The file is {media_type}, with nothing to unpack.")
            if isinstance(kind, Compression):
                source = self._decompressed(source, kind, task)
                kind = recognise(source.blob.media_type, source.head)
            if isinstance(kind, ArchiveKind):
                self._unpack(source, kind, task)
        except CannotUnpack as refusal:
            if wish is UnpackWish.REQUIRE:
                raise
            task.unpacked.findings.append(refusal.finding)
            task.unpacked.log.append(f"Not unpacked: {refusal}")

    def _decompressed(self, source: _Source, kind: Compression, task: _Task) -> _Source:
        unpacked, name = task.unpacked, decompressed_name(task.filename)
        known = self._earlier.decompressed(source.blob.sha256)
        if known and self._holds(known[0], task):
            blob, findings = known
            unpacked.log.append("Decompressed before; that is used again.")
            found = self._kept_source(blob)
        else:
            found, findings = self._decompress(source, kind, task)
            unpacked.log.append(f"Decompressed to {name!r}: {show_size(found.blob.size)}.")
        unpacked.decompressed = NamedBlob(name, found.blob)
        unpacked.findings += findings
        task.budget.next_stage(found.blob.size)
        return found

    def _decompress(
        self, source: _Source, kind: Compression, task: _Task
    ) -> tuple[_Source, tuple[Finding, ...]]:
        findings = Findings()
        target = task.act.new_file()
        with self.place(task.check), source.open() as reader, ExitStack() as refused:
            # Before the place is given back: who gets it next takes as much room.
            refused.callback(target.close)
            for piece in decompress(reader, kind, budget=task.budget, findings=findings):
                task.check()
                target.write(piece)
            refused.pop_all()
        task.unpacked.decompressed_file = target
        blob = target.describe(self._media_type_of)
        return _Source(blob, target.head, target.open), findings.told()

    def _holds(self, blob: Descriptor, task: _Task) -> bool:
        """Hold a blob until the end; False when it was freed with its upload a moment ago."""
        try:
            task.holds.enter_context(self._blobs.hold(blob.sha256))
        except BlobNotFound:
            return False
        return True

    def _kept_source(self, blob: Descriptor) -> _Source:
        with self._blobs.open(blob.sha256) as reader:
            head = reader.read(HEAD_BYTES)
        return _Source(blob, head, self._kept_opener(blob))

    def _kept_opener(self, blob: Descriptor) -> Callable[[], BinaryIO]:
        return lambda: self._blobs.open(blob.sha256)

    def _unpack(self, source: _Source, kind: ArchiveKind, task: _Task) -> None:
        unpacked, name = task.unpacked, tree_name(task.filename)
        known = None if task.anew else self._earlier.tree(source.blob.sha256, self._limits)
        if known and self._holds(known[0].manifest, task):
            tree, findings = known
            unpacked.log.append("Unpacked before; that tree is used again.")
            unpacked.tree = replace(tree, name=name)
        else:
            built = unpacked.built = self._build(source, kind, task)
            findings = built.findings
            unpacked.tree = Tree(name, built.manifest, built.files, built.size)
        files, size = unpacked.tree.files, show_size(unpacked.tree.size)
        unpacked.log.append(f"Unpacked to {name!r}: {files} files, {size}.")
        unpacked.findings += findings

    def _build(self, source: _Source, kind: ArchiveKind, task: _Task) -> BuiltTree:
        with self.place(task.check), source.open() as reader:
            builder = TreeBuilder(self._blobs, task.act, self._digests, task.check)
            return builder.build(reader, kind, source.blob.sha256, task.budget)

    @contextmanager
    def place(self, check: Callable[[], None]) -> Iterator[None]:
        """Wait for one of the places, as long as the client does; ``check`` raises then."""
        while not self._places.acquire(timeout=_LOOK_SECONDS):
            check()
        try:
            yield
        finally:
            self._places.release()


def check_client(is_gone: Callable[[], bool]) -> None:
    """Raise `ClientGone` when the client has stopped waiting."""
    if is_gone():
        raise ClientGone("The client closed the connection; nothing was kept.")
