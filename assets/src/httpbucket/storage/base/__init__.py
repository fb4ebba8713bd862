"""The ports: what services may ask of a place where things are kept, and what it promises.

They speak of digests, records and questions, never of links or SQL. Each backend has one module
for each part; `httpbucket.storage.memory` is the reference, and one contract suite
(``tests/storage``) holds every backend to the docstrings here.

Every method may raise `StorageFull` (no room) or `StorageUnavailable` (cannot be done now). A call
that raises has changed nothing that a later call could see, unless its docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.manifest import ManifestEntry, ManifestHeader
from httpbucket.domain.partial import PartialId, PartialUpload
from httpbucket.domain.pending_tree import PendingTree
from httpbucket.domain.public_path import PublicPath
from httpbucket.domain.search import UploadFilter
from httpbucket.domain.upload import Record, Replica, UploadId


class StagedFile(Protocol):
    """Bytes on their way in, seen by nobody else. Used by one thread at a time."""

    @property
    def size(self) -> int:
        """How many bytes were written."""
        ...

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Append all of ``piece``."""
        ...

    def open(self) -> BinaryIO:
        """A reader of what was written, from its start, seekable. The caller closes it."""
        ...

    def rest(self) -> None:
        """Take no descriptor until the next use, for who lets many wait that came whole."""
        ...

    def discard(self) -> None:
        """Forget the bytes; the blob that they became is no longer held. May be repeated."""
        ...


class Staging(Protocol):
    """Where bytes wait until it is known whether they are kept."""

    def create(self, *, size: int = 0) -> StagedFile:
        """A new, empty staged file. The caller keeps or discards it.

        ``size`` bytes are set aside for it, for which `StorageFull` is raised when there is no
        room; more or fewer may be written.
        """
        ...

    def sweep(self, *, idle_too: bool = True) -> int:
        """Discard what processes that no longer live left behind; how many things that were.

        Staged files of living processes, other servers' on the same store too, stay. Unless
        ``idle_too``, so does the place of a process that ended with nothing under way.
        """
        ...


class BlobBatch(Protocol):
    """Many contents that become blobs together, so that one sync serves them all.

    Used by one thread. The caller ends with `discard`, after `keep` once a record names the blobs:
    from the moment that a content is taken until then, nobody frees the blob.
    """

    def add_bytes(self, content: bytes, digest: Digest) -> bool:
        """Take a small content whose SHA-256 is ``digest``, as the caller promises.

        False when it was a blob, or in this batch, already.
        """
        ...

    def add_staged(self, staged: StagedFile, digest: Digest) -> bool:
        """Take a staged file, as `BlobStore.keep` does. It is used up. False as of `add_bytes`."""
        ...

    def hold(self, digest: Digest) -> bool:
        """Have a blob stay that need not be taken; False when there is none."""
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """A reader of a content that was taken, or is a blob. The caller closes it.

        Raises `BlobNotFound`.
        """
        ...

    def forget(self, digest: Digest) -> None:
        """Leave a content out that was taken, for nothing will name it. A blob stays a blob."""
        ...

    def keep(self) -> None:
        """When this returns, every content is a blob that survives power loss. May be repeated."""
        ...

    def discard(self) -> None:
        """Forget what was not kept, and hold nothing any more. May be repeated."""
        ...


class Sighting(Protocol):
    """Names that were looked at, the last of them a file's, to be looked at again.

    For who must not wait: nothing here does, as far as a local disk allows.
    """

    @property
    def changed(self) -> float:
        """When any of what has these names changed last, bytes or names, in Unix time."""
        ...

    def is_unchanged(self) -> bool:
        """Whether each name has what it had then, without a change of its bytes or names."""
        ...

    def read(self, start: int, stop: int) -> bytes | None:
        """Bytes of the file, if all is unchanged and they are in memory."""
        ...


class BlobStore(Protocol):
    """Every content once, named by its SHA-256. A blob never changes under its name.

    The empty content is always kept.
    """

    def keep(self, staged: StagedFile, digest: Digest) -> bool:
        """Keep the staged bytes as the blob ``digest``; False when it was there already.

        The caller promises that ``digest`` is the SHA-256 of these bytes, that ``staged`` came from
        the staging of the same backend, and that it will not be written again. When this returns,
        the blob survives power loss, whoever kept it first. The staged file is used up; until it is
        discarded, which is when a record names the blob, nobody frees it.
        """
        ...

    def hold(self, digest: Digest) -> AbstractContextManager[None]:
        """Meanwhile nobody frees this blob, though nothing names it. Raises `BlobNotFound`."""
        ...

    def batch(self) -> BlobBatch:
        """A new, empty batch."""
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """A reader of the blob, seekable. The caller closes it. Raises `BlobNotFound`."""
        ...

    def size(self, digest: Digest) -> int | None:
        """The blob's size in bytes; None when there is none of that name."""
        ...

    def kept(self, values: Collection[bytes]) -> Collection[bytes]:
        """Those of many SHA-256, raw, that are the name of a blob."""
        ...

    def digests(self, *, after: Digest | None = None) -> Iterator[Digest]:
        """Every blob's identity in order, in bounded memory; those that follow ``after``."""
        ...

    def free(
        self, digest: Digest, *, idle_since: float | None = None, dry_run: bool = False
    ) -> int | None:
        """Remove the blob unless it is held or, where the backend can tell, something names it.

        The caller promises that no record and no manifest names it. With ``idle_since`` (seconds
        since 1970) it stays as well when it was kept, named or let go of since then. Returns the
        bytes that were freed, 0 when there was none, and None when it stays. The empty blob does.
        A ``dry_run`` only looks.
        """
        ...

    def recover(self) -> int:
        """Put back what a dead process was about to free; how many files that were."""
        ...

    def sight(self, digest: Digest) -> Sighting | None:
        """The blob's file; None where nothing can be looked at again like that."""
        ...

    def local_path(self, digest: Digest) -> Path | None:
        """A local file with the blob's bytes, where the backend has one."""
        ...

    def is_named(self, digest: Digest) -> bool | None:
        """Whether something beside the store of blobs names the blob; None if this can't be told.

        It is how a question is answered while the index is being rebuilt.
        """
        ...


@dataclass(frozen=True)
class Manifest:
    """A manifest that is being read: the header, and the entries once, as they are read."""

    header: ManifestHeader
    entries: Iterator[ManifestEntry]


class TreeStore(Protocol):
    """The trees that archive files unpack to. A tree is its manifest; a manifest is a blob."""

    def keep(self, manifest: StagedFile, digest: Digest) -> None:
        """Keep a manifest, as `BlobStore.keep` does.

        The caller promises that every blob it names is kept.
        """
        ...

    def load(self, digest: Digest) -> AbstractContextManager[Manifest]:
        """Read a manifest. Raises `BlobNotFound`, or ValueError for a blob that is none."""
        ...


class Records(Protocol):
    """The uploads. A record is the only proof that something was uploaded."""

    def publish(self, record: Record) -> None:
        """Make the upload and all its names appear, in one step, and survive power loss.

        The caller promises that every blob and manifest that the record names is kept, and that
        the id is new. When this raises, nothing of the upload is to be seen; `ContentVanished`
        says that something which the record or its manifest names is gone, where a backend notices.
        """
        ...

    def load(self, upload: UploadId) -> Record:
        """Read a record. Raises `UploadNotFound`, or ValueError when the record is damaged."""
        ...

    def has(self, upload: UploadId) -> bool:
        """Whether the upload is published, and not removed since."""
        ...

    def amend(self, upload: UploadId, change: Callable[[Record], Record]) -> Record:
        """Replace the record by what ``change`` makes of it, lastingly; returns that.

        Nobody else amends or removes it meanwhile, and readers see one or the other. The names of
        the upload's own files do not change. Raises as `load`.
        """
        ...

    def remove(
        self, upload: UploadId, *, only_if: Callable[[Record], bool] = lambda record: True
    ) -> Record | None:
        """Make the upload and all its names disappear, in one step that survives power loss.

        Returns its record, or None when ``only_if`` said no to it, and the upload stays. What is
        left of the upload is still kept, and it is among `removed`, until `forget` is called.
        Raises as `load`.
        """
        ...

    def removed(self) -> Iterator[Record]:
        """Uploads that were removed and are not forgotten: the work of living or dead processes."""
        ...

    def forget(self, upload: UploadId) -> None:
        """Let go of the blobs that a removed upload named. May be repeated."""
        ...

    def ids(self, *, since_day: str = "") -> Iterator[UploadId]:
        """Every upload of ``since_day`` (``2026/11/21``) or later, day by day in order of time."""
        ...


class HeldPartial(Protocol):
    """An unfinished upload that nobody else works on meanwhile.

    Bytes that were appended stay, also when the process dies; after `sync` power loss as well.
    """

    @property
    def partial(self) -> PartialUpload:
        """What was said of it."""
        ...

    @property
    def size(self) -> int:
        """How many bytes came."""
        ...

    @property
    def modified(self) -> float:
        """When the last bytes came, in seconds since 1970."""
        ...

    def when_wanted(self, let_go: Callable[[], None]) -> AbstractContextManager[None]:
        """Within, ``let_go`` is called, from another thread, once somebody else waits to hold it.

        It is to make the holder stop soon; it may be called more than once.
        """
        ...

    def append(self, piece: bytes | bytearray | memoryview) -> None:
        """Add bytes at the end. Not allowed any more after `staged`."""
        ...

    def doubt(self) -> None:
        """What is appended from now on goes if the process dies before `trust`."""
        ...

    def trust(self) -> None:
        """What was appended stays."""
        ...

    def cut(self, size: int) -> None:
        """Forget the bytes after the first ``size``."""
        ...

    def sync(self) -> None:
        """When this returns, the bytes that came survive power loss."""
        ...

    def open(self) -> BinaryIO:
        """A reader of the bytes that came. The caller closes it."""
        ...

    def staged(self) -> StagedFile:
        """All of it as a staged file, not to be written to; the bytes stay here as well."""
        ...

    def finish(self, upload: UploadId) -> None:
        """Remember what it became, and forget the bytes."""
        ...

    def remove(self) -> None:
        """Forget it altogether."""
        ...


class PartialUploads(Protocol):
    """Uploads that come in pieces, over several connections and processes."""

    def create(self, partial: PartialUpload) -> None:
        """Begin one, lastingly. The caller promises that the id is new."""
        ...

    def hold(self, upload: PartialId, *, seconds: float) -> AbstractContextManager[HeldPartial]:
        """Keep others from it, asking who has it to let go.

        Raises `PartialNotFound`, and `PartialBusy` when it is not let go of within ``seconds``.
        """
        ...

    def sweep(self) -> int:
        """Forget the bytes that dead processes left of finished ones; of how many."""
        ...

    def expire(self, before: float) -> int:
        """Forget those that got no bytes since ``before`` (seconds since 1970); how many."""
        ...


class HeldDirectories(Protocol):
    """Replica directories that nobody else changes meanwhile."""

    def entries(self, directory: str) -> Collection[str]:
        """The names in one of the held directories; none where it does not exist yet."""
        ...

    def announce(self, record: Record) -> None:
        """Remember lastingly that the record's replicas are to be made, before it is published.

        If the process dies in between, whoever holds a directory next, or the next start, makes
        them if the record was published, and forgets it otherwise.
        """
        ...

    def make(self, record: Record) -> None:
        """Make the replicas of the published record, each whole or not at all, lastingly.

        Then each ``latest`` link is moved, in one step. When this raises, what is missing of them
        is made by whoever holds the directory next.
        """
        ...

    def shown(self, link: str) -> str | None:
        """What the ``latest`` link at this path shows; None where there is no such link."""
        ...

    def removing(
        self, upload: UploadId, replicas: Collection[Replica], latest: Mapping[str, str | None]
    ) -> AbstractContextManager[None]:
        """Remove replicas once the caller has made sure that no record names them any more.

        The caller does so in the context, in one step, by removing or amending the upload's record.
        Then the replicas go, each in one step, and each link of ``latest`` (by path) shows another
        name beside it, or goes where that is None. If the process dies after the caller's step,
        whoever holds a directory next, or the next start, goes on with it. If the caller raises,
        nothing is removed.
        """
        ...


class Replicas(Protocol):
    """Further names for what uploads hold, in directories that templates choose."""

    def hold(self, directories: Collection[str]) -> AbstractContextManager[HeldDirectories]:
        """Keep others from changing these directories (``replica/user/bob``); waits for them.

        What a dead process left unmade there is made first.
        """
        ...

    def finish(self) -> int:
        """Make what dead processes left unmade anywhere; how many uploads that were."""
        ...


class Repair(Protocol):
    """What is done about blobs that are not what they are called, and names that show others."""

    def quarantine(self, blob: Digest) -> None:
        """Take the blob out of the store, and keep its bytes aside. May be repeated.

        From then on it is as if it had never been kept, until its right bytes are kept again;
        other names of the wrong bytes stay until `relink`.
        """
        ...

    def quarantine_siblings(self, blob: Digest, on_piece: Callable[[int], None] = ...) -> int:
        """The same for further copies of the blob, those whose bytes are wrong; how many went.

        All of them are read; ``on_piece`` is called with the bytes of each read.
        """
        ...

    def quarantined(self) -> Iterator[Digest]:
        """The blobs that were taken out, also those that are kept again."""
        ...

    def release(self, blob: Digest) -> None:
        """Forget the bytes that were put aside. May be repeated."""
        ...

    def relink(self, record: Record) -> Relinked:
        """Make every name of an upload, and its replicas, show the blob that it should.

        A blob that is gone is made again from a name that still has its bytes; where none has, the
        name is left as it is. Nothing is replaced by bytes that were not read and found right.
        """
        ...


@dataclass(frozen=True, slots=True)
class Relinked:
    """What `Repair.relink` did: names made right, blobs made again, paths that nothing can fill."""

    names: int = 0
    blobs: int = 0
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a blob is kept: in how many files, and how many names lead to them beside their own.

    ``size`` is the content's bytes; ``holders`` are uploads on their way in that pinned it.
    """

    size: int
    files: int
    names: int
    holders: int


@dataclass(frozen=True, slots=True)
class OldFile:
    """A content in a store of the original, and the name that it has there.

    ``path`` is where it is named and ``source`` where its bytes are, relative to the store; None
    where the name leads nowhere. ``directory`` is the replica's (``USER/bob``), empty for a blob
    itself. ``filename`` lacks the suffix where the original dropped it (``is_stem``). ``digest`` is
    what its bytes should have. ``is_member`` says that it is a file of a tree as well. ``tree`` is
    the directory of a tree whose archive file is gone, which is named instead.
    """

    path: str
    source: str | None
    filename: str
    is_stem: bool
    directory: str
    received: datetime
    digest: Digest | None
    is_member: bool = False
    tree: str = ""


class OldStore(Protocol):
    """A store of the original program, which is only read."""

    def names(self) -> Iterator[OldFile]:
        """What has a replica's name, the oldest first."""
        ...

    def blobs(self) -> Iterator[OldFile]:
        """Every tree whose archive file is gone, and every blob; archive files come first."""
        ...

    def members(self, tree: str) -> Iterator[tuple[str, str]]:
        """The files of a tree in order: the path in it, and where its bytes are."""
        ...

    def strangers(self) -> Iterator[str]:
        """Paths of what is neither."""
        ...

    def open(self, source: str) -> BinaryIO:
        """A reader. The caller closes it. Raises `NotTakenOver`."""
        ...


class Survey(Protocol):
    """What lies in the place of blobs, whatever records and the index say of it."""

    def standing(self, blob: Digest) -> Standing | None:
        """How the blob is kept; None when it is not."""
        ...

    def strangers(self) -> Iterator[str]:
        """Paths, relative to the store, of what lies among the blobs and has no blob's name."""
        ...


class Notes(Protocol):
    """Short texts that outlive the process. Losing one costs work that is done again, no more."""

    def read(self, name: str) -> str:
        """The text that was written last under this name; empty where there is none."""
        ...

    def write(self, name: str, text: str) -> None:
        """Keep the text in place of the earlier one, in one step."""
        ...


@dataclass(frozen=True, slots=True)
class ShelfEntry:
    """What a public directory holds under one name.

    ``size`` is bytes, ``modified`` seconds since 1970. ``target`` is the name beside it that a
    ``latest`` link shows; kind, size and time are then the target's.
    """

    name: str
    is_directory: bool
    size: int
    modified: float
    target: str | None = None


@dataclass(frozen=True, slots=True)
class ShelfPage:
    """Some entries of a directory in order of name; ``next_after`` is None on the last page."""

    entries: tuple[ShelfEntry, ...]
    next_after: str | None


class Shelves(Protocol):
    """The names under which everybody may look at what is kept: ``archive/`` and ``replica/``.

    Each method raises `NameNotFound` where there is no such name, or none that may be looked at:
    what is neither a file nor a directory, and links that are not our own, have no name here.
    """

    def resolve(self, path: PublicPath) -> PublicPath:
        """``path`` with the names that its ``latest`` links show now.

        No other method follows a link, so that what a path showed a moment ago stays readable
        while its link moves on.
        """
        ...

    def look(self, path: PublicPath) -> ShelfEntry:
        """What has this name."""
        ...

    def open(self, path: PublicPath) -> BinaryIO:
        """A reader of the file, seekable. The caller closes it."""
        ...

    def sight(self, path: PublicPath, resolved: PublicPath, upload: UploadId) -> Sighting | None:
        """The links of the path, the record of the upload that it leads into, and the file.

        None where nothing can be looked at again like that.
        """
        ...

    def page(self, path: PublicPath, *, after: str = "", limit: int) -> ShelfPage:
        """At most ``limit`` entries of a directory whose names follow ``after``.

        Memory grows with ``limit``, not with the directory. Records and manifests are not among
        the entries, but can be looked at by their names, where the backend has such names.
        """
        ...


#: How long a request waits for another that works on the same. Its thread serves nobody meanwhile.
TURN_SECONDS = 10.0


class InTurn(Protocol):
    """Names that clients chose, each held by one request among all processes."""

    def __call__(
        self, name: str, check: Callable[[], None] = ..., *, seconds: float = ...
    ) -> AbstractContextManager[datetime | None]:
        """Hold the name, waiting ``seconds`` for others to let go of it.

        Yields since when a process held it that died while it did; else None.

        ``check`` is called now and then meanwhile, and ends the waiting by raising. Raises `Busy`.
        """
        ...


#: A CI farm's day. With 20,000 files each, these take 3 GB.
MOST_PENDING = 1000


class PendingTrees(Protocol):
    """Trees that wait for some of their files: known to every process, until they expire."""

    def save(self, pending: PendingTree) -> None:
        """Remember it, in place of what was remembered of that id, whole or not at all.

        A new one takes the place of that which was saved the longest ago and is not held, where
        `MOST_PENDING` wait already.
        """
        ...

    def hold(
        self, id: str, check: Callable[[], None] = ..., *, seconds: float = ...
    ) -> AbstractContextManager[PendingTree]:
        """What is remembered of the id; others who hold it wait, as for a turn (`InTurn`).

        It may be saved meanwhile. Raises `PendingTreeNotFound`, and `Busy`.
        """
        ...

    def sweep(self, now: datetime) -> int:
        """Forget those that expired before ``now``; how many those were."""
        ...


@dataclass(frozen=True, slots=True)
class Space:
    """What a store may grow into: bytes, and names (inodes) where the backend counts them.

    ``free`` is what this program may still use, which can be less than nobody uses.
    """

    total: int
    free: int
    total_names: int | None = None
    free_names: int | None = None


class Capacity(Protocol):
    """How much room the place has where things are kept."""

    def space(self) -> Space | None:
        """The room that is there now; None where the backend has no bounds or cannot tell."""
        ...


@dataclass(frozen=True, slots=True)
class KnownBlob:
    """A blob that some upload names, and one of the names that it has there."""

    blob: Descriptor
    filename: str


@dataclass(frozen=True, slots=True)
class FoundUploads:
    """Uploads that were looked for, newest first; older ones than ``next_before`` may fit too.

    ``next_before`` is None when all were looked at.
    """

    ids: tuple[UploadId, ...]
    next_before: str | None


@dataclass(frozen=True, slots=True)
class Totals:
    """How much the index knows of: uploads, and the different blobs that they name.

    ``blob_size`` is the bytes of these blobs; ``upload_size`` is the bytes that all uploads show,
    which is what they would take if equal content was not kept once.
    """

    uploads: int
    upload_size: int
    blobs: int
    blob_size: int


class Index(Protocol):
    """Answers questions about what records and manifests say. Can be deleted and rebuilt.

    Raises `IndexNotReady` where a question cannot be answered for now. All methods may be called
    from any thread, and from any process that shares the store.
    """

    def prepare(self) -> None:
        """At start, before other processes use it: move an index that cannot be used aside."""
        ...

    def add(self, record: Record, manifest: Manifest | None) -> None:
        """Take in an upload, with its tree's manifest if it has one. May be repeated.

        When it raises `IndexNotReady`, the index is not complete from then on, for any process.
        """
        ...

    def remove(self, record: Record, manifest: Manifest | None) -> None:
        """Forget an upload, and its tree if no other upload has that. May be repeated.

        A manifest that cannot be read any more may be None; that takes longer.
        """
        ...

    def forget_uploads(self, uploads: Collection[UploadId]) -> None:
        """Forget uploads of which there is no record any more. May be repeated.

        It takes long: it is for what somebody removed by hand, or a dying process left.
        """
        ...

    def forget_replica(self, path: str, upload: UploadId) -> None:
        """Forget that the upload has a replica at this path, unless it is another's by now."""
        ...

    def unnamed(self, blobs: Sequence[Digest]) -> tuple[Digest, ...]:
        """Those of ``blobs`` that no upload names: as a file, a tree's manifest or its member."""
        ...

    def has_upload(self, upload: UploadId) -> bool:
        """Whether the upload was taken in."""
        ...

    def uploads(self, *, after: str = "", limit: int) -> Sequence[UploadId]:
        """At most ``limit`` uploads that were taken in, in order, of those ``after`` this text."""
        ...

    def find(self, digest: Digest) -> tuple[Digest, ...]:
        """The SHA-256 of every blob that has this digest and that some upload names."""
        ...

    def find_many(
        self, algorithm: str, values: Collection[bytes]
    ) -> Collection[tuple[bytes, bytes]]:
        """What `find` says to many digests, of one moment: pairs of a digest and a SHA-256.

        Digests are raw here, because a hundred thousand `Digest` take longer than their answer.
        """
        ...

    def lease(
        self,
        blobs: Collection[bytes],
        *,
        at_least: datetime,
        until: datetime,
        despite_uploads: bool = False,
    ) -> bool:
        """Have these blobs (SHA-256, raw) stay ``at_least`` so long; whether that took a lease.

        One that an upload of this index names for so long needs none, unless it is to have one
        ``despite_uploads``, nor does one that an earlier lease keeps; every other, known or not,
        gets one ``until`` then, all in one transaction. Where it took one, the caller asks again
        whether the blob is known: it may have gone before its lease came.
        """
        ...

    def find_lasting(self, digest: Digest, until: datetime) -> Sequence[bytes] | None:
        """The blobs (SHA-256, raw) with this digest, all of which stay until then without a lease.

        None where one look does not tell: then `find`, `is_complete` and `lease` do. An empty
        answer is a sure one.
        """
        ...

    def leased(self, blobs: Collection[Digest], *, now: datetime) -> Collection[Digest]:
        """Those of the blobs that a lease keeps."""
        ...

    def has_lease(self, upload: UploadId, *, now: datetime) -> bool:
        """Whether a lease keeps anything that the upload names, by its tree too."""
        ...

    def end_leases(self, blobs: Collection[Digest]) -> None:
        """Forget the leases of these blobs, because somebody wants them gone."""
        ...

    def lease_until(self, blob: Digest) -> datetime | None:
        """Until when a lease keeps the blob, or kept it; None where there is no lease."""
        ...

    def forget_leases(self, *, before: datetime) -> int:
        """Forget the leases that ended before then; how many those were."""
        ...

    def leases_since(self, now: datetime) -> datetime:
        """Since when no lease was lost: ``now``, where a new index is asked for the first time."""
        ...

    def find_retried(self, key: str, *, since: datetime) -> tuple[UploadId, ...]:
        """The uploads since then that came with this ``Idempotency-Key``, the oldest first."""
        ...

    def describe_many(self, blobs: Collection[bytes]) -> Mapping[bytes, Descriptor]:
        """What is known of those blobs (SHA-256, raw) that some upload names."""
        ...

    def describe(self, blob: Digest) -> KnownBlob | None:
        """What is known of the blob with this SHA-256; None when no upload names it."""
        ...

    def find_unpacked(self, blob: Digest) -> tuple[UploadId, ...]:
        """A few uploads in which this content was decompressed or unpacked, the newest first."""
        ...

    def find_replica(self, path: str) -> UploadId | None:
        """The upload that a replica's path (``replica/user/bob/a.20261121.1432.0``) shows."""
        ...

    def find_uploads(self, wanted: UploadFilter, *, before: str = "", limit: int) -> FoundUploads:
        """At most ``limit`` uploads that fit, newest first; only those older than ``before``.

        The work is bounded: an answer may hold fewer than ``limit``, or none, and yet a
        ``next_before`` to go on from.
        """
        ...

    def totals(self) -> Totals:
        """How much the index knows of. Takes no longer for many uploads than for one."""
        ...

    def add_digests(self, blob: Descriptor) -> None:
        """Have a known blob found by these digests as well. Of one that is not known: nothing."""
        ...

    def forget_all(self) -> None:
        """In one step, know of no upload any more and be incomplete. Leases stay."""
        ...

    def is_complete(self) -> bool:
        """Whether the index holds every record, so that not knowing means that there is none."""
        ...

    def agreed_day(self) -> str:
        """No record of an earlier day than this (``2026/11/21``) is missing; ``""`` if unsure."""
        ...

    def mark_complete(self, *, agreed_day: str) -> None:
        """From now on the index holds every record; and of days before ``agreed_day`` for good."""
        ...

    def mark_incomplete(self) -> None:
        """Records may be missing, of ``agreed_day`` and later, until `mark_complete` is called."""
        ...

    def close(self) -> None:
        """Let go of what this thread holds, before a fork for example. The next call opens it."""
        ...
