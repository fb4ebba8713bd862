"""What a file is, from libmagic's word and its first bytes."""

from __future__ import annotations

import pytest

from httpbucket.content.kind import ArchiveKind, Compression, recognise
from httpbucket.content.media_type import MediaTypes
from tests.builders import COMPRESSORS, ZipEntry, global_pax, tar, tar_member, zip_file

V7 = tar(tar_member("a", b"x", magic=bytes(8)))
ZIP = zip_file(ZipEntry("a", b"x"))
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(40)
WORD = zip_file(
    ZipEntry("[Content_Types].xml", b"x"),
    ZipEntry("_rels/.rels", b"x"),
    ZipEntry("word/document.xml", b"x"),
)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        *((COMPRESSORS[kind.value](b"x" * 99), kind) for kind in Compression),
        (b"\x50\x2a\x4d\x18\x04\0\0\0meta" + COMPRESSORS["zstd"](b"x"), Compression.ZSTD),
        (b"\x50\x2a\x4d\x18\xff\xff\xff\xffmeta", None),
        (b"\x50\x2a\x4d\x18\x04", None),
        (tar(tar_member("a", b"x")), ArchiveKind.TAR),
        (tar(global_pax({"comment": "x"}), tar_member("a", b"x")), ArchiveKind.TAR),
        (tar(tar_member("a", b"x", magic=b"ustar  \0")), ArchiveKind.TAR),
        (V7, ArchiveKind.TAR),
        (V7[:511], None),
        (tar_member("a", checksum=b"000001\0 ", magic=bytes(8)), None),
        (ZIP, ArchiveKind.ZIP),
        (zip_file(), ArchiveKind.ZIP),
        (b"", None),
        (bytes(10_240), None),
        (b"text", None),
        (b"MZ" + bytes(200) + ZIP, None),
        (PNG + ZIP, None),
        # 7z, rar, lz4, compress, lzip, lzma alone.
        (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(40), None),
        (b"Rar!\x1a\7\1\0" + bytes(40), None),
        (b"\x04\x22\x4d\x18\x64\x40\xa7" + bytes(40), None),
        (b"\x1f\x9d\x90" + bytes(40), None),
        (b"LZIP\1\x0c" + bytes(40), None),
        (b"\x5d\0\0\x80\0" + b"\xff" * 8 + bytes(40), None),
    ],
    ids=range(26),
)
def test_content_decides_with_the_real_libmagic(
    head: bytes, kind: Compression | ArchiveKind | None
) -> None:
    assert recognise(MediaTypes().of(head), head) is kind


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("application/x-gzip", Compression.GZIP),
        ("APPLICATION/GZIP; charset=binary", Compression.GZIP),
        ("application/x-zip-compressed", ArchiveKind.ZIP),
        ("text/plain", None),
        ("application/x-7z-compressed", None),
        ("application/x-lzma", None),
    ],
)
def test_other_spellings_are_understood(
    media_type: str, kind: Compression | ArchiveKind | None
) -> None:
    assert recognise(media_type, b"") is kind


@pytest.mark.parametrize("media_type", ["application/epub+zip", "application/java-archive"])
def test_a_zip_under_another_name_is_one_only_for_who_asks(media_type: str) -> None:
    assert recognise(media_type, WORD) is None
    assert recognise(media_type, WORD, asked=True) is ArchiveKind.ZIP


def test_text_that_claims_to_be_binary_is_no_tar() -> None:
    assert recognise("application/octet-stream", b"x" * 4096) is None
