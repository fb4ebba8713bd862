"""What an answer was made from is looked at again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from httpbucket.domain.errors import IndexNotReady
from httpbucket.services.see_again import SeeAgain, Seen
from httpbucket.storage.base import KnownBlob
from tests.examples import descriptor, record_of
from tests.services.fakes import Journal, RecordingIndex

ONE = descriptor(b"one")


@dataclass
class Sighting:
    """Of a file that holds ``content``, until it changes."""

    content: bytes = b"0123456789"
    unchanged: bool = True
    settled_at: float = 0

    def had_settled(self, *, before: float) -> bool:
        return before >= self.settled_at

    def is_unchanged(self) -> bool:
        return self.unchanged

    def read(self, start: int, stop: int) -> bytes | None:
        return self.content[start:stop] if self.unchanged else None


@pytest.fixture
def index() -> RecordingIndex:
    index = RecordingIndex(Journal())
    index.add(record_of(ONE), None)
    return index


def test_bytes_are_read_while_nothing_changes(index: RecordingIndex) -> None:
    sighting = Sighting()
    assert SeeAgain(index).read(Seen(sighting), 2, 4) == b"23"
    assert SeeAgain(index).read(Seen(sighting), 2, 2) == b""
    sighting.unchanged = False
    assert SeeAgain(index).read(Seen(sighting), 2, 4) is None
    assert SeeAgain(index).read(Seen(sighting), 2, 2) is None


def test_what_the_index_said_has_to_hold(index: RecordingIndex) -> None:
    known = index.describe(ONE.sha256)
    assert known is not None
    assert SeeAgain(index).read(Seen(Sighting(), known), 0, 1) == b"0"
    other = KnownBlob(replace(ONE, media_type="text/x-other"), known.filename)
    assert SeeAgain(index).read(Seen(Sighting(), other), 0, 1) is None
    assert SeeAgain(index).read(Seen(Sighting(), replace(known, filename="x")), 0, 1) is None
    index.remove(record_of(ONE), None)
    assert SeeAgain(index).read(Seen(Sighting(), known), 0, 1) is None


def test_an_index_that_cannot_answer_tells_nothing(index: RecordingIndex) -> None:
    index.describe_refusal = IndexNotReady("busy")
    assert SeeAgain(index).read(Seen(Sighting(), KnownBlob(ONE, "a")), 0, 1) is None
