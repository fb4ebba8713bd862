"""Bytes put aside: written once and read again, on the disk where they are many."""

from __future__ import annotations

import io
from types import TracebackType
from typing import BinaryIO, Self

from httpbucket.domain.errors import StorageFull, StorageUnavailable
from httpbucket.storage.base import StagedFile, Staging

#: So many bytes wait in memory; the disk takes that much at a time.
BUFFER_BYTES = 64 * 1024


class Spool:
    """Bytes that nobody keeps. Used by one thread at a time; ends with `discard`.

    They lie in ``staging``, and in memory where that takes no more: to put something aside is no
    upload, and not refused because the disk is full.
    """

    def __init__(self, staging: Staging) -> None:
        self._staging = staging
        self._staged: StagedFile | None = None
        self._buffer = bytearray()
        self._written = 0
        self._is_refused = False

    @property
    def size(self) -> int:
        """How many bytes were written."""
        return self._written + len(self._buffer)

    def write(self, piece: bytes) -> None:
        """Append all of ``piece``."""
        self._buffer += piece
        if len(self._buffer) > BUFFER_BYTES and not self._is_refused:
            self._flush()

    def open(self) -> BinaryIO:
        """A reader of what was written, from its start. The caller closes it."""
        if self._staged is not None and not self._is_refused:
            self._flush()
        if self._staged is None:
            return io.BytesIO(self._buffer)
        reader = self._staged.open()
        if not self._is_refused:
            return reader
        with reader:
            return io.BytesIO(reader.read(self._written) + self._buffer)

    def discard(self) -> None:
        """Forget the bytes. May be repeated; those who read them read on."""
        staged, self._staged = self._staged, None
        if staged is not None:
            staged.discard()
        self._buffer = bytearray()
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    def _flush(self) -> None:
        """Have the disk take what is in memory; what it refuses stays there."""
        try:
            if self._staged is None:
                self._staged = self._staging.create()
            # Part of it may be written where it fails: who reads stops before that.
            self._staged.write(bytes(self._buffer))
        except (StorageFull, StorageUnavailable):
            self._is_refused = True
        else:
            self._written += len(self._buffer)
            self._buffer = bytearray()
