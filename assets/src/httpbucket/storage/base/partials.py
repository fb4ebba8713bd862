"""Resumable uploads that are not complete."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from httpbucket.domain.partial import PartialId, PartialUpload
from httpbucket.domain.upload import UploadId
from httpbucket.storage.base.staging import StagedFile


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
