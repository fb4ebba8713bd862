"""What a file is, as far as unpacking goes: compressed, an archive file, or neither."""

from __future__ import annotations

from enum import Enum

from httpbucket.content.tar_header import is_tar_header
from httpbucket.content.zstd_frames import starts_with_zstd_frame


class Compression(Enum):
    """A format of a single compressed stream that can be undone here."""

    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTD = "zstd"


class ArchiveKind(Enum):
    """A format of an archive file whose members can be read here."""

    TAR = "tar"
    ZIP = "zip"


# What libmagic 5.44 says, and what other versions and other programs say.
_BY_MEDIA_TYPE: dict[str, Compression | ArchiveKind] = {
    "application/gzip": Compression.GZIP,
    "application/x-gzip": Compression.GZIP,
    "application/bzip2": Compression.BZIP2,
    "application/x-bzip2": Compression.BZIP2,
    "application/x-bzip": Compression.BZIP2,
    "application/xz": Compression.XZ,
    "application/x-xz": Compression.XZ,
    "application/zstd": Compression.ZSTD,
    "application/x-zstd": Compression.ZSTD,
    "application/tar": ArchiveKind.TAR,
    "application/x-tar": ArchiveKind.TAR,
    "application/x-gtar": ArchiveKind.TAR,
    "application/x-ustar": ArchiveKind.TAR,
    "application/zip": ArchiveKind.ZIP,
    "application/x-zip": ArchiveKind.ZIP,
    "application/x-zip-compressed": ArchiveKind.ZIP,
}

_UNKNOWN = frozenset({"", "application/octet-stream"})
_ZIP_MEMBER = b"PK\x03\x04"


def recognise(
    media_type: str, head: bytes, *, asked: bool = False
) -> Compression | ArchiveKind | None:
    """Decide what to do with a file whose media type libmagic gives and which begins with ``head``.

    Where libmagic knows nothing, ``head`` can still be a tar without the ustar magic or a zstd
    stream behind a skippable frame. ``asked`` says that the client wants the file unpacked: then a
    zip under another name (a wheel, an office document) counts as a zip.
    """
    media_type = media_type.partition(";")[0].strip().lower()
    known = _BY_MEDIA_TYPE.get(media_type)
    if known is None and asked and head.startswith(_ZIP_MEMBER):
        return ArchiveKind.ZIP
    if known is ArchiveKind.TAR and head[257:262] != b"ustar":
        # libmagic 5.44 takes some headers with a wrong checksum for old tars.
        return ArchiveKind.TAR if is_tar_header(head) else None
    if media_type not in _UNKNOWN:
        return known
    if starts_with_zstd_frame(head):
        return Compression.ZSTD
    return ArchiveKind.TAR if is_tar_header(head) else None
