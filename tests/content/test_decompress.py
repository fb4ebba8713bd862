"""Undoing compression: whole, in many members, cut short, damaged, and far too much of it."""

from __future__ import annotations

import functools
import gzip
import lzma
import zlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpbucket.content.decompress import _FORMATS, decompress
from httpbucket.content.findings import Findings
from httpbucket.content.kind import Compression
from httpbucket.content.limits import CHUNK_SIZE, Budget, UnpackLimits
from httpbucket.domain.unpacking import (
    CannotUnpack,
    CorruptArchive,
    LimitExceeded,
    TruncatedArchive,
    UnsupportedArchive,
)
from tests.builders import COMPRESSORS, repeated, zstd_with_window
from tests.unpacking import decompressed

COMPRESSIONS = list(Compression)
MEBIBYTE = 2**20


@functools.lru_cache(maxsize=8)
def packed(content: bytes, compression: Compression) -> bytes:
    return COMPRESSORS[compression.value](content)


@pytest.fixture(params=COMPRESSIONS, ids=lambda compression: compression.value)
def compression(request: pytest.FixtureRequest) -> Compression:
    found: Compression = request.param
    return found


@pytest.mark.parametrize("size", [0, 1, 511, 512, 100_000, MEBIBYTE, 5 * MEBIBYTE + 1])
def test_what_was_compressed_comes_back(compression: Compression, size: int) -> None:
    content = (b"%07d" * 3 % (1, 2, 3) * (size // 21 + 1))[:size]
    assert decompressed(packed(content, compression), compression) == (content, [])


def test_no_piece_is_larger_than_a_mebibyte(compression: Compression) -> None:
    budget = Budget(UnpackLimits(), source_size=1)
    stream = BytesIO(packed(bytes(5 * MEBIBYTE), compression))
    pieces = decompress(stream, compression, budget=budget, findings=Findings())
    assert max(map(len, pieces)) <= CHUNK_SIZE


def test_members_in_a_row_are_one_content(compression: Compression) -> None:
    parts = [b"one", b"", b"two" * 1000, b"three" * 300_000]
    file = b"".join(packed(part, compression) for part in parts)
    assert decompressed(file, compression) == (b"".join(parts), [])


def test_thousands_of_tiny_members_cost_little(compression: Compression) -> None:
    content, problems = decompressed(packed(b"x", compression) * 5000, compression)
    assert (len(content), problems) == (5000, [])


def test_zeros_between_and_behind_members_are_padding(compression: Compression) -> None:
    one = packed(b"x", compression)
    file = one + bytes(4) + one + bytes(MEBIBYTE)
    assert decompressed(file, compression) == (b"xx", [])


@pytest.mark.parametrize("rest", [b"text", b"\0\0text", b"x" * 2 * MEBIBYTE, b"~"])
def test_other_bytes_behind_a_member_are_told_and_ignored(
    compression: Compression, rest: bytes
) -> None:
    file = packed(b"kept", compression) + rest
    assert decompressed(file, compression) == (b"kept", ["trailing-bytes"])


def test_a_file_cut_off_anywhere_is_truncated(compression: Compression) -> None:
    content = b"".join(b"%d " % number for number in range(20_000))
    whole = packed(content, compression)
    for length in (*range(1, 40), *range(40, len(whole), 1024), len(whole) - 1):
        with pytest.raises(TruncatedArchive):
            decompressed(whole[:length], compression)
    with pytest.raises(TruncatedArchive):
        decompressed(whole + whole[: len(whole) // 2], compression)


def test_random_bytes_behind_the_magic_are_refused(compression: Compression) -> None:
    magic = packed(b"", compression)[:6]
    with pytest.raises(CorruptArchive):
        decompressed(magic + b"\xa5\x5a\xff" * 5000, compression)


def test_another_format_is_refused(compression: Compression) -> None:
    with pytest.raises(CorruptArchive):
        decompressed(b"plain text", compression)


def test_a_wrong_checksum_is_corrupt() -> None:
    whole = bytearray(gzip.compress(b"text" * 100))
    whole[-8] ^= 1
    with pytest.raises(CorruptArchive):
        decompressed(bytes(whole), Compression.GZIP)


class Failing:
    """A decoder that fails, and counts how often it is asked."""

    eof, needs_input, unused_data, asked = False, True, b"", 0

    def decompress(self, data: bytes, /, max_length: int) -> bytes:
        self.asked += 1
        raise zlib.error("damaged")


def test_a_decoder_that_failed_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Failing] = []

    def new_decoder() -> Failing:
        made.append(Failing())
        return made[-1]

    of_gzip = replace(_FORMATS[Compression.GZIP], new_decoder=new_decoder)
    monkeypatch.setitem(_FORMATS, Compression.GZIP, of_gzip)
    members = BytesIO(2 * gzip.compress(b"text"))
    budget = Budget(UnpackLimits(), source_size=1)
    pieces = decompress(members, Compression.GZIP, budget=budget, findings=Findings())
    with pytest.raises(CorruptArchive):
        list(pieces)
    assert list(pieces) == []
    assert [one.asked for one in made] == [1]


@settings(max_examples=300, deadline=None)
@given(
    compression=st.sampled_from(COMPRESSIONS),
    flips=st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 255)), min_size=1, max_size=20),
)
def test_random_flips_end_in_bytes_or_a_refusal(
    compression: Compression, flips: list[tuple[int, int]]
) -> None:
    damaged = bytearray(packed(b"".join(b"%d " % n for n in range(1500)), compression))
    for position, change in flips:
        damaged[position % len(damaged)] ^= change
    budget = Budget(UnpackLimits(max_bytes=2**22), source_size=1)
    try:
        decompressed(bytes(damaged), compression, budget=budget)
    except CannotUnpack:
        return


def test_ten_gibibytes_of_zeros_end_at_the_limit(compression: Compression) -> None:
    bomb = repeated(packed(bytes(16 * MEBIBYTE), compression), 640)
    budget = Budget(UnpackLimits(max_bytes=40 * MEBIBYTE), source_size=1)
    with pytest.raises(LimitExceeded) as refusal:
        decompressed(bomb, compression, budget=budget)
    assert refusal.value.limit == "UNPACK_MAX_BYTES"
    assert budget.bytes <= 41 * MEBIBYTE


def test_a_ratio_counts_only_behind_256_mebibytes() -> None:
    bomb = repeated(packed(bytes(32 * MEBIBYTE), Compression.ZSTD), 320)
    budget = Budget(UnpackLimits(max_ratio=10), source_size=2 * MEBIBYTE)
    pieces = decompress(bomb, Compression.ZSTD, budget=budget, findings=Findings())
    with pytest.raises(LimitExceeded) as refusal:
        sum(map(len, pieces))
    assert refusal.value.limit == "UNPACK_MAX_RATIO"
    assert 256 * MEBIBYTE < budget.bytes <= 257 * MEBIBYTE


def test_skippable_frames_are_no_content() -> None:
    skippable = b"\x5a\x2a\x4d\x18\x04\0\0\0meta"
    frame = packed(b"x", Compression.ZSTD)
    file = skippable + frame + skippable + skippable + frame
    assert decompressed(file, Compression.ZSTD) == (b"xx", [])


def test_what_xz_writes_at_its_best_is_read() -> None:
    assert decompressed(lzma.compress(b"x" * 99, preset=9), Compression.XZ) == (b"x" * 99, [])


def huge_xz() -> bytes:
    """An xz of 60 bytes that asks for a dictionary of 1 GiB (xz format 3.1, 5.3.1)."""
    chain = [{"id": lzma.FILTER_LZMA2, "dict_size": 4096}]
    whole = bytearray(lzma.compress(b"x", filters=chain))
    whole[16] = 36
    whole[20:24] = crc32(whole[12:20]).to_bytes(4, "little")
    return bytes(whole)


def huge_zstd() -> bytes:
    return zstd_with_window(b"x" * 1000, 27)


@pytest.mark.parametrize(
    ("compression", "build"), [(Compression.XZ, huge_xz), (Compression.ZSTD, huge_zstd)]
)
def test_a_window_beyond_memory_is_refused(
    compression: Compression, build: Callable[[], bytes]
) -> None:
    with pytest.raises(UnsupportedArchive):
        decompressed(build(), compression)


def test_time_ends_what_gives_no_bytes() -> None:
    seconds = iter(range(10_000))
    budget = Budget(UnpackLimits(max_seconds=100), source_size=1, clock=lambda: next(seconds))
    with pytest.raises(LimitExceeded) as refusal:
        decompressed(repeated(gzip.compress(b""), 10**9), Compression.GZIP, budget=budget)
    assert refusal.value.limit == "UNPACK_MAX_SECONDS"
