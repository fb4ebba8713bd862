"""Reading zips: what the directory says against what is there."""

from __future__ import annotations

import io
import zipfile
import zlib
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpbucket.content.limits import UnpackLimits
from httpbucket.domain.unpacking import (
    CannotUnpack,
    CorruptArchive,
    EncryptedArchive,
    LimitExceeded,
    TruncatedArchive,
    UnsafeMemberName,
    UnsupportedArchive,
)
from tests.builders import ZipEntry, overlapping_zip, tar, tar_member, zip_end, zip_file
from tests.unpacking import unzipped

SYMLINK = 0o120777


@pytest.mark.parametrize("method", [0, 8, 12, 14])
@pytest.mark.parametrize("size", [0, 1, 5000, 2**20, 2**20 + 1, 3 * 2**20])
def test_every_method_gives_the_content_back(method: int, size: int) -> None:
    content = (b"0123456789" * (size // 10 + 1))[:size]
    tree = unzipped(zip_file(ZipEntry("a/b", content, method), ZipEntry("c", b"next", method)))
    assert tree.files == {"a/b": content, "c": b"next"}


def test_modes_times_and_empty_directories_come_along() -> None:
    unix_time = pack("<HHBl", 0x5455, 5, 1, 1_700_000_001)
    windows_time = pack("<HHLHHQQQ", 10, 32, 0, 1, 24, 133_444_736_025_000_000, 0, 0)
    tree = unzipped(
        zip_file(
            ZipEntry("run", b"x", mode=0o100755, extra=unix_time),
            ZipEntry("windows", b"x", extra=windows_time),
            ZipEntry("dos", b"x", host=0, attributes=0x20),
            ZipEntry("never", b"x", date=0, time=0xFFFF),
            ZipEntry("empty/", mode=0o040755),
            ZipEntry("full/", mode=0o040755),
            ZipEntry("full/a", b"x"),
        )
    )
    assert tree.executable == {"run"}
    assert tree.empty_directories == {"empty"}
    assert (tree.mtimes["run"], tree.mtimes["windows"]) == (1_700_000_001.0, 1_700_000_002.5)
    assert (tree.mtimes["dos"], tree.mtimes["never"]) == (1_763_726_400.0, 0.0)


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        (ZipEntry("./a//b", b"x"), "a/b"),
        (ZipEntry("日本語", b"x", flags=0x800), "日本語"),
        (ZipEntry("日本語", b"x"), "日本語"),
        (ZipEntry(b"caf\x82", b"x"), "café"),
        (ZipEntry(b"\x95\x5c.txt", b"x"), "ò%5C.txt"),
        (ZipEntry(b"d/\x95\x5c.txt", b"x", host=0), "d/ò%5C.txt"),
        (ZipEntry(b"bad\xff", b"x", flags=0x800), "bad%FF"),
        (ZipEntry("dir\\sub\\a", b"x", host=0), "dir/sub/a"),
        (ZipEntry("dir\\sub\\a", b"x", host=11), "dir/sub/a"),
        (
            ZipEntry(
                b"\x83e",
                b"x",
                extra=pack("<HHBL", 0x7075, 7, 1, zlib.crc32(b"\x83e")) + "é".encode(),
            ),
            "é",
        ),
        (ZipEntry(b"\x82", b"x", extra=pack("<HHBL", 0x7075, 7, 1, 0) + "ü".encode()), "é"),
    ],
    ids=range(11),
)
def test_a_name_is_read_by_the_rule_of_its_age_and_system(entry: ZipEntry, path: str) -> None:
    assert list(unzipped(zip_file(entry)).files) == [path]


def test_a_name_with_escapes_in_place_of_bytes_is_told() -> None:
    assert unzipped(zip_file(ZipEntry(b"bad\xff", flags=0x800))).problems == ["member-renamed"]
    assert unzipped(zip_file(ZipEntry(b"caf\x82"), ZipEntry("100%"))).problems == []


@pytest.mark.parametrize(
    "entry",
    [
        ZipEntry("../evil"),
        ZipEntry("/abs"),
        ZipEntry("a/../../b"),
        ZipEntry("a\\..\\..\\b"),
        ZipEntry("a\\..\\..\\b", host=0),
        ZipEntry(b"\x84\\..\\..\\b", host=0),
        ZipEntry("\\abs", host=0),
        ZipEntry("C:\\x", host=0),
        ZipEntry("C:x", host=0),
        ZipEntry("a/b\\c", host=0),
        ZipEntry("a.txt\0.exe"),
        ZipEntry("a\tb"),
        ZipEntry("a\u202eb"),
        ZipEntry("x" * 256),
        ZipEntry("", b"x"),
        ZipEntry(b"a", extra=pack("<HHBL", 0x7075, 9, 1, zlib.crc32(b"a")) + b"../b"),
    ],
    ids=range(16),
)
def test_one_unsafe_name_refuses_the_whole_zip_before_its_first_member(entry: ZipEntry) -> None:
    with pytest.raises(UnsafeMemberName):
        unzipped(zip_file(ZipEntry("good", b"x"), entry))


def test_links_in_unix_modes_are_resolved_or_left_out() -> None:
    tree = unzipped(
        zip_file(
            ZipEntry("soft", b"a", mode=SYMLINK),
            ZipEntry("a", b"x"),
            ZipEntry("out", b"/etc/passwd", mode=SYMLINK),
            ZipEntry("out/x", b"in"),
            ZipEntry("pipe", mode=0o010644),
            ZipEntry("text", b"a", mode=SYMLINK, host=0),
        )
    )
    assert tree.files == {"a": b"x", "soft": b"x", "out/x": b"in", "text": b"a"}
    assert sorted(tree.problems) == ["link-left-out", "member-left-out"]


def test_a_directory_with_content_is_a_directory() -> None:
    tree = unzipped(zip_file(ZipEntry("d/", b"content"), ZipEntry("d/a", b"x")))
    assert (tree.files, tree.problems) == ({"d/a": b"x"}, ["content-left-out"])


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (ZipEntry("a", b"x", flags=1), EncryptedArchive),
        (ZipEntry("a", b"x", flags=0x2000), EncryptedArchive),
        (ZipEntry("a", b"x", method=99), UnsupportedArchive),
        (ZipEntry("a", b"x", method=93), UnsupportedArchive),
        (ZipEntry("a", b"x", method=9), UnsupportedArchive),
        (ZipEntry("a", b"x" * 99, size=10), CorruptArchive),
        (ZipEntry("a", b"x" * 99, size=2**32 - 2), CorruptArchive),
        (ZipEntry("a", b"x" * 99, 0, size=10), CorruptArchive),
        (ZipEntry("a", b"x" * 99, 0, size=100), CorruptArchive),
        (ZipEntry("a", b"x" * 99, size=0), CorruptArchive),
        (ZipEntry("a", b"x" * 99, 12, size=98), CorruptArchive),
        (ZipEntry("a", b"x" * 99, 14, size=98), CorruptArchive),
        (ZipEntry("a", b"x" * 99, 14, size=100), CorruptArchive),
        (ZipEntry("a", b"x" * 2**21, size=2**20 + 9), CorruptArchive),
        (ZipEntry("a", b"x" * 99, compressed_size=2), CorruptArchive),
        (ZipEntry("a", b"x" * 99, compressed_size=2**31), CorruptArchive),
        (ZipEntry("a", b"x", crc32=7), CorruptArchive),
        (ZipEntry("a", b"x" * 2**21, crc32=7), CorruptArchive),
        (ZipEntry("a", b"x", local_name=b"b"), CorruptArchive),
        (ZipEntry("a", b"x", local_name=b"a\0"), CorruptArchive),
        (ZipEntry("a", b"x", offset=1), CorruptArchive),
        (ZipEntry("a", b"x", offset=2**32 - 2), CorruptArchive),
        (
            ZipEntry("a", b"x", offset=2**32 - 1, extra=pack("<HHQ", 1, 8, 2**64 - 1)),
            CorruptArchive,
        ),
        (ZipEntry("a", b"x", offset=2**32 - 1), CorruptArchive),
        (ZipEntry("a", b"x", size=2**32 - 1), CorruptArchive),
        (ZipEntry("a", b"x", stored=b"\xff" * 99), CorruptArchive),
        (
            ZipEntry("a", b"x", 14, stored=b"\x09\x14\x05\x00\x5d\xff\xff\xff\xffabc"),
            UnsupportedArchive,
        ),
        (ZipEntry("a", b"x", 14, stored=b"\x09\x14\x05\x00\xff\0\0\1\0abc"), CorruptArchive),
        (ZipEntry("a", b"x", 14, stored=b"\x09"), CorruptArchive),
        (ZipEntry("a", b"x" * 5000, mode=SYMLINK), CorruptArchive),
    ],
    ids=range(30),
)
def test_members_that_cannot_be_or_lie_are_refused(
    entry: ZipEntry, error: type[CannotUnpack]
) -> None:
    with pytest.raises(CannotUnpack) as refusal:
        unzipped(zip_file(entry))
    assert type(refusal.value) is error


def test_overlapping_members_are_refused() -> None:
    with pytest.raises(CorruptArchive, match="overlaps"):
        unzipped(overlapping_zip(40, bytes(10_000)))
    twice = ZipEntry("a", b"x")
    again = ZipEntry("a", b"x", offset=0)
    with pytest.raises(CorruptArchive, match="overlaps"):
        unzipped(zip_file(twice, again))


def test_an_archive_in_an_archive_stays_a_file() -> None:
    inner = zip_file(ZipEntry("a", bytes(10_000)))
    assert unzipped(zip_file(ZipEntry("inner.zip", inner))).files == {"inner.zip": inner}


def test_limits_stop_members_and_bytes() -> None:
    many = zip_file(*(ZipEntry(str(number)) for number in range(50)))
    with pytest.raises(LimitExceeded) as refusal:
        unzipped(many, UnpackLimits(max_members=49))
    assert refusal.value.limit == "UNPACK_MAX_MEMBERS"
    with pytest.raises(LimitExceeded) as refusal:
        unzipped(zip_file(ZipEntry("a", bytes(2**22))), UnpackLimits(max_bytes=2**21))
    assert refusal.value.limit == "UNPACK_MAX_BYTES"


def test_a_count_that_hides_members_does_not_pass_the_limit() -> None:
    many = zip_file(*(ZipEntry(str(number)) for number in range(50)), count=3)
    with pytest.raises(LimitExceeded):
        unzipped(many, UnpackLimits(max_members=49))
    with pytest.raises(CorruptArchive):
        unzipped(many)


def test_a_zip_ends_with_its_last_end_record_that_fits() -> None:
    fake = b"PK\x05\x06" + b"\0" * 18
    assert unzipped(zip_file(ZipEntry("a", b"x"), comment=fake)).files == {"a": b"x"}
    inner = zip_file(ZipEntry("inner", b"x"))
    assert unzipped(zip_file(ZipEntry("a", b"x"), comment=inner)).files == {"a": b"x"}


def test_bytes_behind_a_zip_are_told() -> None:
    tree = unzipped(zip_file(ZipEntry("a", b"x")) + b"\r\n")
    assert (tree.files, tree.problems) == ({"a": b"x"}, ["trailing-bytes"])


@pytest.mark.parametrize(
    ("archive", "error"),
    [
        (b"PK\x03\x04" + b"random" * 100, TruncatedArchive),
        (tar(tar_member("a", b"x")), TruncatedArchive),
        (b"", TruncatedArchive),
        (zip_end(0, 0, 0, disk=1), UnsupportedArchive),
        (zip_end(5, 0, 0), CorruptArchive),
        (b"x" * 46 + zip_end(1, 46, 0), CorruptArchive),
        (b"x" * 20 + zip_end(1, 20, 0), CorruptArchive),
    ],
)
def test_what_is_no_whole_zip_is_refused(archive: bytes, error: type[CannotUnpack]) -> None:
    with pytest.raises(CannotUnpack) as refusal:
        unzipped(archive)
    assert type(refusal.value) is error


def test_an_empty_zip_is_an_empty_tree() -> None:
    assert unzipped(zip_file()).files == {}


def python_zip(members: int = 6, *, streamed: bool = False) -> bytes:
    written = io.BytesIO()
    target = _Unseekable(written) if streamed else written
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(members):
            archive.writestr(f"dir/ä{number}", bytes(700 * min(number, 9)))
    return written.getvalue()


class _Unseekable(io.BufferedIOBase):
    def __init__(self, written: io.BytesIO) -> None:
        self._written = written

    def write(self, piece: bytes) -> int:  # type: ignore[override]
        return self._written.write(piece)

    def flush(self) -> None:
        pass


def test_zips_written_to_a_pipe_are_read() -> None:
    assert unzipped(python_zip(streamed=True)).files["dir/ä5"] == bytes(3500)


def test_zip64_is_read_by_its_own_counts_and_sizes() -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        with archive.open("large", "w", force_zip64=True) as member:
            member.write(b"x" * 5000)
        for number in range(70_000):
            archive.writestr(zipfile.ZipInfo(str(number)), b"")
    tree = unzipped(written.getvalue())
    assert (len(tree.files), tree.files["large"]) == (70_001, b"x" * 5000)
    with pytest.raises(LimitExceeded):
        unzipped(written.getvalue(), UnpackLimits(max_members=70_000))


def test_a_zip_cut_off_anywhere_is_refused() -> None:
    whole = python_zip(60)
    for length in range(0, len(whole), 256):
        with pytest.raises(CannotUnpack):
            unzipped(whole[:length])


@settings(max_examples=300, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=20))
def test_random_flips_end_in_a_tree_or_a_refusal(flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(python_zip())
    for position, change in flips:
        damaged[position % len(damaged)] ^= change
    try:
        tree = unzipped(bytes(damaged), UnpackLimits(max_bytes=2**22))
    except CannotUnpack:
        return
    assert not any(".." in path.split("/") or path.startswith("/") for path in tree.files)
