"""Bytes put spool are read as they were written, also where the disk takes none."""

from __future__ import annotations

from pathlib import Path

import pytest

from httpbucket.domain.errors import StorageFull, StorageUnavailable
from httpbucket.services.spool import BUFFER_BYTES, Spool
from httpbucket.storage.base import StagedFile, Staging
from tests.backends import local_backend

#: Far more than waits in memory, in pieces that do not fit it evenly.
PIECES = [b"%d" % (number % 10) * 999 for number in range(300)]
WHOLE = b"".join(PIECES)


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return local_backend(tmp_path / "store").stores.staging


class RefusingStaging:
    """Takes so many writes and no more: of the next only the half, as a disk that gets full."""

    def __init__(self, staging: Staging, refusal: Exception, *, writes: int) -> None:
        self._staging = staging
        self._refusal = refusal
        self._writes = writes

    def create(self, *, size: int = 0) -> StagedFile:
        if not self._writes:
            raise self._refusal
        return _Refusing(self._staging.create(size=size), self._refusal, self._writes)

    def sweep(self, *, idle_too: bool = True) -> int:
        return 0


class _Refusing:
    def __init__(self, staged: StagedFile, refusal: Exception, writes: int) -> None:
        self._staged = staged
        self._refusal = refusal
        self._writes = writes
        self.open, self.rest, self.discard = staged.open, staged.rest, staged.discard

    @property
    def size(self) -> int:
        return self._staged.size

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        self._writes -= 1
        if self._writes < 0:
            self._staged.write(piece[: len(piece) // 2])
            raise self._refusal
        self._staged.write(piece)


def written(staging: Staging, pieces: list[bytes]) -> Spool:
    spool = Spool(staging)
    for piece in pieces:
        spool.write(piece)
    return spool


def read(spool: Spool) -> bytes:
    with spool.open() as reader:
        return reader.read()


@pytest.mark.parametrize("pieces", [[], [b"few"], [b"x" * BUFFER_BYTES], PIECES, [WHOLE]])
def test_what_was_written_is_read_again_and_again(staging: Staging, pieces: list[bytes]) -> None:
    with written(staging, pieces) as spool:
        assert spool.size == sum(map(len, pieces))
        assert [read(spool), read(spool)] == 2 * [b"".join(pieces)]


def test_it_can_be_read_between_writes(staging: Staging) -> None:
    with written(staging, PIECES) as spool:
        assert read(spool) == WHOLE
        spool.write(b"more")
        assert read(spool) == WHOLE + b"more"


@pytest.mark.parametrize("refusal", [StorageFull("full"), StorageUnavailable("read-only")])
@pytest.mark.parametrize("writes", [0, 1, 3])
def test_what_the_disk_refuses_waits_in_memory(
    staging: Staging, refusal: Exception, writes: int
) -> None:
    with written(RefusingStaging(staging, refusal, writes=writes), PIECES) as spool:
        assert (spool.size, read(spool)) == (len(WHOLE), WHOLE)


def test_a_few_bytes_need_no_disk(staging: Staging) -> None:
    refusing = RefusingStaging(staging, AssertionError("it was asked"), writes=0)
    with written(refusing, [b"x" * BUFFER_BYTES]) as spool:
        assert read(spool) == b"x" * BUFFER_BYTES


def test_those_who_read_when_it_is_discarded_read_on(staging: Staging) -> None:
    spool = written(staging, PIECES)
    with spool.open() as reader:
        spool.discard()
        spool.discard()
        assert reader.read() == WHOLE
    assert spool.size == 0
