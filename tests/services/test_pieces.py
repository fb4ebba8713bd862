"""The end of an upload in pieces, on each backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from httpbucket.config import Settings
from httpbucket.domain.errors import MalformedBody
from httpbucket.domain.partial import PartialId
from httpbucket.services.pieces import Piece
from httpbucket.services.resume import Resume
from httpbucket.wiring import build
from tests.backends import Backend, local_backend, memory_backend

BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "memory": lambda root: memory_backend(),
    "local": local_backend,
}


@pytest.fixture(params=BACKENDS)
def resume(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Resume]:
    backend = BACKENDS[request.param](tmp_path / "store")
    yield build(Settings.from_environ({}), backend.stores).resume
    backend.stores.index.close()
    assert backend.staged() == []


def begin(resume: Resume, length: int) -> PartialId:
    return resume.create(length, said={"filename": "a.txt"}, metadata="")


def test_an_empty_upload_is_finished_by_nothing(resume: Resume) -> None:
    progress = resume.append(begin(resume, 0), Piece(0, iter([])))
    assert progress.receipt is not None
    assert (progress.receipt.record.size, progress.offset) == (0, 0)


def test_an_empty_upload_takes_no_byte(resume: Resume) -> None:
    with pytest.raises(MalformedBody):
        resume.append(begin(resume, 0), Piece(0, iter([b"x"])))


def test_the_last_piece_finishes(resume: Resume) -> None:
    upload = begin(resume, 3)
    assert resume.append(upload, Piece(0, iter([b"ab"]))).receipt is None
    last = resume.append(upload, Piece(2, iter([b"c"])))
    assert last.receipt is not None
    assert (last.receipt.record.name, last.offset) == ("a.txt", 3)
