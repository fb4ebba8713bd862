"""Read the members of a zip without trusting what it says twice, or says at all.

Names, sizes and checksums are compared with what is really there; spans that overlap are refused,
for they make 46 MB into 4.5 PB (David Fifield, "A better zip bomb"; CVE-2024-0450).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from stat import S_IFBLK, S_IFCHR, S_IFIFO, S_IFLNK, S_IFMT, S_IFSOCK, S_ISDIR, S_IXUSR
from struct import Struct
from typing import BinaryIO

from httpbucket.content.findings import Findings, shown
from httpbucket.content.limits import CHUNK_SIZE, Budget
from httpbucket.content.member_names import decode_name, member_path, tell_if_renamed
from httpbucket.content.members import Entry, Member, MemberKind
from httpbucket.content.zip_content import METHODS, is_small, small_content, zip_content
from httpbucket.content.zip_directory import ZipDirectory, ZipRecord, find_directory
from httpbucket.content.zip_names import zip_member_mtime, zip_member_name
from httpbucket.domain.unpacking import (
    CorruptArchive,
    EncryptedArchive,
    TruncatedArchive,
    UnsafeMemberName,
    UnsupportedArchive,
)

_LOCAL_HEADER = Struct("<4s5H3L2H")
_ENCRYPTED_FLAGS = 0x0001 | 0x0040 | 0x2000

# Unix, and OS X as Apple's archiver says.
_UNIX_HOSTS = frozenset((3, 19))
_DOS_DIRECTORY = 0x10
_OTHERS = {
    S_IFCHR: "a character device",
    S_IFBLK: "a block device",
    S_IFIFO: "a FIFO",
    S_IFSOCK: "a socket",
}
#: As long as a link's target may be on Linux (PATH_MAX).
_LONGEST_TARGET = 4096


def read_zip(stream: BinaryIO, *, budget: Budget, findings: Findings) -> Iterator[Entry]:
    """Give each member of the zip with its content, in the order of its directory.

    ``stream`` must be seekable. All names, methods and flags are checked before the first member is
    given. A content's size and checksum are checked at its end, if it is read that far. Raises the
    subclasses of `CannotUnpack`.
    """
    directory = find_directory(stream)
    if directory.trailing:
        findings.add("trailing-bytes", "Bytes behind the end of the zip were ignored.")
    budget.check_members(directory.count)
    walk = _Walk(stream, budget, findings, directory, _checked_offsets(stream, directory, budget))
    yield from walk.entries()


def _checked_offsets(stream: BinaryIO, directory: ZipDirectory, budget: Budget) -> array[int]:
    """Where all members begin, sorted; raises for whatever the directory alone gives away."""
    offsets = array("Q")
    for record in directory.records(stream):
        budget.check_members(len(offsets) + 1)
        _check_record(record, directory)
        member_path(zip_member_name(record), budget.limits)
        offsets.append(record.offset)
        budget.check_time()
    return array("Q", sorted(offsets))


def _check_record(record: ZipRecord, directory: ZipDirectory) -> None:
    if record.offset >= directory.start:
        raise CorruptArchive(f"Member {shown(record.name)} lies behind the end of the zip.")
    if record.flags & _ENCRYPTED_FLAGS:
        raise EncryptedArchive(f"Member {shown(record.name)} of the zip is encrypted.")
    if record.method not in METHODS:
        sentence = f"Member {shown(record.name)} is compressed by method {record.method}, "
        raise UnsupportedArchive(f"{sentence}which is not supported.")


@dataclass(slots=True)
class _Walk:
    stream: BinaryIO
    budget: Budget
    findings: Findings
    directory: ZipDirectory
    offsets: array[int]

    def entries(self) -> Iterator[Entry]:
        for record in self.directory.records(self.stream):
            self.budget.count_member()
            start = self._content_start(record)
            if entry := self._entry(record, start):
                yield entry

    def _content_start(self, record: ZipRecord) -> int:
        """Where the content begins, as the member's own header says. Raises `CorruptArchive`."""
        self.stream.seek(record.offset)
        header = self.stream.read(_LOCAL_HEADER.size + len(record.name))
        if len(header) < _LOCAL_HEADER.size + len(record.name):
            raise TruncatedArchive("The zip ends inside a member.")
        fields = _LOCAL_HEADER.unpack_from(header)
        agree = (
            fields[0] == b"PK\x03\x04"
            and fields[3] == record.method
            and header[_LOCAL_HEADER.size :] == record.name
            and fields[9] == len(record.name)
        )
        if not agree:
            sentence = f"Member {shown(record.name)} and the zip's directory contradict each other."
            raise CorruptArchive(sentence)
        start = int(record.offset + _LOCAL_HEADER.size + fields[9] + fields[10])
        self._check_span(record, start + record.compressed_size)
        return start

    def _check_span(self, record: ZipRecord, end: int) -> None:
        following = bisect_right(self.offsets, record.offset)
        doubled = following > 1 and self.offsets[following - 2] == record.offset
        last = following == len(self.offsets)
        limit = self.directory.start if last else self.offsets[following]
        if doubled or end > limit:
            raise CorruptArchive(f"Member {shown(record.name)} of the zip overlaps another one.")

    def _entry(self, record: ZipRecord, start: int) -> Entry | None:
        name = zip_member_name(record)
        path = member_path(name, self.budget.limits)
        tell_if_renamed(record.name, path, self.findings)
        mtime = zip_member_mtime(record)
        mode = record.attributes >> 16 if record.host in _UNIX_HOSTS else 0
        if _is_directory(record, name, mode):
            return self._directory(record, path, mtime)
        if not path:
            raise UnsafeMemberName("Nothing was unpacked, because a member has no name.")
        if what := _OTHERS.get(S_IFMT(mode)):
            return Member(path, MemberKind.OTHER, target=what), ()
        if S_IFMT(mode) == S_IFLNK:
            return Member(path, MemberKind.SYMLINK, target=self._target(record, start)), ()
        executable = bool(mode & S_IXUSR)
        member = Member(path, MemberKind.FILE, record.size, mtime, executable)
        return member, self._content(record, start)

    def _directory(self, record: ZipRecord, path: str, mtime: float) -> Entry | None:
        if record.size:
            sentence = f"Member {shown(path)} is a directory with content, which was left out."
            self.findings.add("content-left-out", sentence)
        return (Member(path, MemberKind.DIRECTORY, mtime=mtime), ()) if path else None

    def _target(self, record: ZipRecord, start: int) -> str:
        if record.size > _LONGEST_TARGET:
            raise CorruptArchive(f"Member {shown(record.name)} is a link to an impossible name.")
        return decode_name(b"".join(self._content(record, start)))

    def _content(self, record: ZipRecord, start: int) -> Iterable[bytes]:
        if is_small(record):
            content = small_content(self.stream, record, start, self.budget)
            return (content,) if content else ()
        pieces = zip_content(self.stream, record, start, self.budget)
        if record.size <= CHUNK_SIZE:
            return (b"".join(pieces),) if record.size or record.compressed_size else ()
        return pieces


def _is_directory(record: ZipRecord, name: str, mode: int) -> bool:
    if name.endswith("/"):
        return True
    return record.size == 0 and (S_ISDIR(mode) or bool(record.attributes & _DOS_DIRECTORY))
