"""Contents, each kept once under its digest."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from httpbucket.domain.digest import Digest
from httpbucket.storage.base.staging import StagedFile


class BlobBatch(Protocol):
    """Many contents that become blobs together, so that one sync serves them all.

    Used by one thread. The caller ends with `discard`, after `keep` once a record names the blobs:
    from the moment that a content is taken until then, nobody frees the blob.
    """

    def add_bytes(self, content: bytes, digest: Digest, path: str = "") -> bool:
        """Take a small content whose SHA-256 is ``digest``, as the caller promises.

        ``path`` is where a tree has it that is being made, if `settle` is called. False when it
        was a blob, or in this batch, already.
        """
        ...

    def add_staged(self, staged: StagedFile, digest: Digest, path: str = "") -> bool:
        """Take a staged file, as `BlobStore.keep` does. It is used up. Else as `add_bytes`."""
        ...

    def settle(self, lacking: Collection[str] | None) -> None:
        """Say that the tree is what was added at a path, and at the paths that are ``lacking``.

        None says that it is not, for something that was added is left out. Then, or without this
        call, `Records.publish` does not care for the paths.
        """
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

    def had_settled(self, *, before: float) -> bool:
        """Whether all of it changed so long before this moment that no later change is missed.

        ``before`` is in Unix time.
        """
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

    def read_part(self, digest: Digest, start: int, size: int) -> bytes:
        """So many bytes from ``start`` on, less where the blob ends. Raises `BlobNotFound`.

        For those who read a little of many blobs.
        """
        ...

    def size(self, digest: Digest) -> int | None:
        """The blob's size in bytes; None when there is none of that name."""
        ...

    def kept(self, values: Collection[bytes]) -> set[bytes]:
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

    def is_named(self, digest: Digest) -> bool | None:
        """Whether something beside the store of blobs names the blob; None if this can't be told.

        It is how a question is answered while the index is being rebuilt.
        """
        ...
