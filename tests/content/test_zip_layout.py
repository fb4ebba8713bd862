"""A zip is laid out first and made afterwards, the whole or any range of it."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpbucket.content.zip_layout import ZipLayout, ZipMember

CONTENTS = [b"first", b"", b"x" * 1000, b"last"]
NEWER = int(datetime(2026, 11, 21, 14, 32, 6, tzinfo=UTC).timestamp())
GIB = 1 << 30


def member(name: str, content: bytes = b"", *, modified: int = NEWER) -> ZipMember:
    digest = hashlib.sha256(content).digest()
    return ZipMember(name.encode(), len(content), zlib.crc32(content), digest, modified)


BY_DIGEST = {hashlib.sha256(content).digest(): content for content in CONTENTS}
MEMBERS = [member(f"top/{number}-é.txt", one) for number, one in enumerate(CONTENTS)]
MEMBERS.append(ZipMember(b"top/empty/", 0, 0, b"", NEWER))


def read(digest: bytes, start: int, size: int) -> Iterator[bytes]:
    yield BY_DIGEST[digest][start : start + size]


def made(layout: ZipLayout, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(layout.pieces(start, layout.size if stop is None else stop, read))


def test_the_zip_holds_the_members_and_has_the_size_that_was_said() -> None:
    layout = ZipLayout(MEMBERS)
    content = made(layout)
    assert len(content) == layout.size
    with zipfile.ZipFile(BytesIO(content)) as file:
        assert file.testzip() is None
        assert {one.filename: file.read(one) for one in file.infolist()} == {
            **{f"top/{number}-é.txt": one for number, one in enumerate(CONTENTS)},
            "top/empty/": b"",
        }
        assert file.infolist()[0].date_time == (2026, 11, 21, 14, 32, 6)
        assert file.infolist()[-1].is_dir()


def test_a_zip_of_nothing_is_a_zip() -> None:
    with zipfile.ZipFile(BytesIO(made(ZipLayout([])))) as file:
        assert file.namelist() == []


WHOLE = made(ZipLayout(MEMBERS))


@given(st.integers(0, len(WHOLE)), st.integers(0, len(WHOLE)))
def test_any_range_is_that_part_of_the_whole(one: int, other: int) -> None:
    start, stop = sorted((one, other))
    assert made(ZipLayout(MEMBERS), start, stop) == WHOLE[start:stop]


def test_equal_members_make_one_identity_and_others_another() -> None:
    same, other = ZipLayout(list(MEMBERS)), ZipLayout(MEMBERS[:-1])
    assert ZipLayout(MEMBERS).identity == same.identity
    assert same.identity != other.identity


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, (1980, 1, 1, 0, 0, 0)),
        (-5, (1980, 1, 1, 0, 0, 0)),
        (1 << 40, (2038, 1, 19, 3, 14, 6)),
    ],
)
def test_a_time_that_dos_has_no_word_for_becomes_the_nearest(
    seconds: int, shown: tuple[int, ...]
) -> None:
    layout = ZipLayout([member("a", modified=seconds)])
    with zipfile.ZipFile(BytesIO(made(layout))) as file:
        assert file.infolist()[0].date_time == shown


class Sparse(BytesIO):
    """A zip of which only the parts around its contents are in memory."""

    def __init__(self, layout: ZipLayout) -> None:
        super().__init__()
        self._layout = layout
        self._position = 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        start = {0: 0, 1: self._position, 2: self._layout.size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        left = self._layout.size - self._position
        size = left if size is None or size < 0 else min(size, left)
        assert size < 100 * 1024 * 1024
        stop = self._position + size
        piece = b"".join(
            self._layout.pieces(self._position, stop, lambda _, at, n: iter([bytes(n)]))
        )
        self._position = stop
        return piece


def large(name: str, size: int) -> ZipMember:
    # Nobody reads a large one to its end.
    crc32 = zlib.crc32(bytes(size)) if size < GIB else 7
    return ZipMember(name.encode(), size, crc32, b"d" * 32, NEWER)


@pytest.mark.parametrize(
    "sizes",
    [
        [4 * GIB - 2],
        [4 * GIB - 1],
        [4 * GIB, 3],
        [3 * GIB, 3 * GIB, 1],
        [5 * GIB, 1, 6 * GIB, 2],
    ],
    ids=str,
)
def test_what_is_beyond_four_gibibytes_has_its_zip64_fields(sizes: list[int]) -> None:
    layout = ZipLayout([large(f"{number}", size) for number, size in enumerate(sizes)])
    with zipfile.ZipFile(Sparse(layout)) as file:
        assert [one.file_size for one in file.infolist()] == sizes
        for one in file.infolist():
            with file.open(one) as reader:
                assert reader.read(1) == b"\0"


def test_more_members_than_65535_are_all_listed() -> None:
    layout = ZipLayout(member(f"{number}", b"first") for number in range(70_000))
    with zipfile.ZipFile(BytesIO(made(layout))) as file:
        assert len(file.namelist()) == 70_000
        assert file.read("69999") == b"first"
