"""The names under which a file, its decompressed form and its tree lie side by side.

All functions take a filename that passed ``httpbucket.domain.filename.kept_filename``. The three
names of one upload are always distinct, not empty, and have no leading dot.
"""

from __future__ import annotations

from collections.abc import Iterable

#: What a compressed tar's suffix becomes; the others are cut.
_TAR_SUFFIXES = (
    *(".tgz", ".taz", ".tbz", ".tbz2", ".tb2", ".tz2"),
    *(".txz", ".tzst", ".tzstd"),
)
_COMPRESSION_SUFFIXES = (".gz", ".gzip", ".bz2", ".bzip2", ".bz", ".xz", ".zst", ".zstd")
_ARCHIVE_SUFFIXES = (".tar", ".zip")

#: What a compressed file's content is called when its name does not say that it is compressed.
DECOMPRESSED_SUFFIX = ".decompressed"

#: What a tree is called when the archive file's name has no suffix to cut.
TREE_SUFFIX = ".d"


def decompressed_name(filename: str) -> str:
    """What the content of a compressed file is called beside it.

    >>> decompressed_name("results.tgz"), decompressed_name("log.gz"), decompressed_name("log")
    ('results.tar', 'log', 'log.decompressed')
    """
    for suffix in _TAR_SUFFIXES:
        if stem := _cut(filename, suffix):
            return f"{stem}.tar"
    for suffix in _COMPRESSION_SUFFIXES:
        if stem := _cut(filename, suffix):
            return stem
    return f"{filename}{DECOMPRESSED_SUFFIX}"


def tree_name(filename: str) -> str:
    """The directory that an archive file's members appear in, beside the archive file.

    >>> tree_name("results.tar.gz"), tree_name("Logs.ZIP"), tree_name("results"), tree_name("a.gz")
    ('results', 'Logs', 'results.d', 'a.gz.d')
    """
    stem = archive_stem(filename)
    return f"{filename}{TREE_SUFFIX}" if stem == filename else stem


def archive_stem(filename: str) -> str:
    """The filename of an archive file without the suffixes that say that it is one.

    >>> archive_stem("results.tar.gz"), archive_stem("v1.2.zip"), archive_stem("backup")
    ('results', 'v1.2', 'backup')
    """
    for name in (decompressed_name(filename), filename):
        for suffix in _ARCHIVE_SUFFIXES:
            if stem := _cut(name, suffix):
                return stem
    return filename


def stays_packed(filename: str, unpack_not: Iterable[str]) -> bool:
    """Whether the name ends in one of the suffixes (``.jar``) whose files are not unpacked.

    >>> stays_packed("App.JAR", [".jar", ".war"])
    True
    """
    return filename.lower().endswith(tuple(suffix.lower() for suffix in unpack_not))


def _cut(filename: str, suffix: str) -> str | None:
    """``filename`` without the suffix in any case; None unless a visible name is left."""
    stem = filename[: -len(suffix)]
    if not filename.lower().endswith(suffix) or not stem or stem.startswith("."):
        return None
    return stem
