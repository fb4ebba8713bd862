"""Which member becomes which file: duplicates, links and conflicts decided, all of them told.

A plan is pure: members go in as they are read, each file with a token for its content (a
descriptor, a number, anything), and a tree of paths and tokens comes out.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from httpbucket.content.findings import Findings, shown
from httpbucket.content.members import Member, MemberKind
from httpbucket.content.symlinks import resolve_symlink
from httpbucket.domain.unpacking import UnsupportedArchive

#: What the paths of all members, the directories above them and the targets of links may take of
#: memory: 100,000 paths of 200 letters. Without it, 3 MB of tgz took 750 MiB.
MAX_NAME_BYTES = 24 * 1024 * 1024

Content = TypeVar("Content")


@dataclass(frozen=True, slots=True)
class PlannedFile(Generic[Content]):
    """A file of the tree: its ``content`` is the token of the member that it was read from."""

    content: Content
    mtime: float
    executable: bool


@dataclass(frozen=True, slots=True)
class PlannedDirectory:
    """A directory that the archive file names itself."""

    mtime: float


@dataclass(frozen=True, slots=True)
class _Symlink:
    target: str


Planned = PlannedFile[Content] | PlannedDirectory


class TreePlan(Generic[Content]):
    """Takes members in the order of the archive file; `entries` gives the tree.

    Findings about what is left out or changed go to ``findings``. Every method raises
    `UnsupportedArchive` when names and links together are longer than `MAX_NAME_BYTES`.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._names: dict[str, PlannedFile[Content] | PlannedDirectory | _Symlink] = {}
        self._name_bytes = 0
        #: Whether a member that was added is not in the tree, or another is in its place.
        self.has_left_out = False

    def add_file(self, member: Member, content: Content) -> None:
        """Plan a regular file whose bytes are known as ``content``."""
        self._set(member.path, PlannedFile(content, member.mtime, member.executable))

    def add(self, member: Member) -> None:
        """Plan a member of any kind but FILE."""
        match member.kind:
            case MemberKind.DIRECTORY:
                self._set(member.path, PlannedDirectory(member.mtime))
            case MemberKind.HARDLINK:
                self._add_hardlink(member)
            case MemberKind.SYMLINK:
                self._count(member.target)
                self._set(member.path, _Symlink(member.target))
            case _:
                sentence = f"Member {shown(member.path)} is {member.target} and was left out."
                self._findings.add("member-left-out", sentence)

    def entries(self) -> Iterator[tuple[str, Planned[Content]]]:
        """The tree in order of path: every file, and every directory with nothing below it.

        Call it once, when all members are in.
        """
        self._resolve_symlinks()
        parents = self._parents()
        self._leave_out_parents(parents)
        self._tell_lookalikes()
        for path in sorted(self._names):
            planned = self._names[path]
            if path not in parents and not isinstance(planned, _Symlink):
                yield path, planned

    def _set(self, path: str, planned: PlannedFile[Content] | PlannedDirectory | _Symlink) -> None:
        earlier = self._names.get(path)
        if earlier is None:
            self._count(path)
        both_directories = isinstance(earlier, PlannedDirectory) and type(earlier) is type(planned)
        if earlier is not None and not both_directories:
            sentence = f"Several members are called {shown(path)}; the last one was kept."
            self._findings.add("duplicate-member", sentence)
            self.has_left_out = True
        self._names[path] = planned

    def _count(self, name: str) -> None:
        self._name_bytes += sys.getsizeof(name)
        if self._name_bytes > MAX_NAME_BYTES:
            raise UnsupportedArchive(
                "The names of the archive file's members, directories and links are too long: "
                f"together they take more than {MAX_NAME_BYTES} bytes."
            )

    def _add_hardlink(self, member: Member) -> None:
        earlier = self._names.get(member.target)
        if isinstance(earlier, PlannedFile):
            if member.path != member.target:
                self._set(member.path, earlier)
            else:
                self.has_left_out = True
            return
        sentence = f"Member {shown(member.path)} is a hardlink to {shown(member.target)}, "
        self._findings.add(
            "link-left-out", f"{sentence}which is no earlier file of the archive; it was left out."
        )

    def _resolve_symlinks(self) -> None:
        links = {
            path: planned.target
            for path, planned in self._names.items()
            if isinstance(planned, _Symlink)
        }
        for path, target in links.items():
            end = self._names.get(resolve_symlink(path, links) or "")
            if isinstance(end, PlannedFile):
                self._names[path] = end
            else:
                self._leave_out_link(path, target)

    def _leave_out_link(self, path: str, target: str) -> None:
        del self._names[path]
        sentence = f"Member {shown(path)} is a link to {shown(target)}, "
        self._findings.add(
            "link-left-out", f"{sentence}which is no file of the archive; it was left out."
        )

    def _parents(self) -> set[str]:
        parents: set[str] = set()
        for path in self._names:
            parent = path.rpartition("/")[0]
            while parent and parent not in parents:
                self._count(parent)
                parents.add(parent)
                parent = parent.rpartition("/")[0]
        return parents

    def _leave_out_parents(self, parents: set[str]) -> None:
        for path in sorted(parents):
            if isinstance(self._names.get(path), PlannedFile):
                del self._names[path]
                self.has_left_out = True
                sentence = f"Member {shown(path)} is a file and also a directory of other members; "
                self._findings.add("file-is-directory", f"{sentence}the file was left out.")

    def _tell_lookalikes(self) -> None:
        # By hash alone: a second text for each name would double what names take.
        first: dict[int, str] = {}
        for path in self._names:
            folded = _folded(path)
            if folded == path:
                continue
            other = folded if folded in self._names else first.setdefault(hash(folded), path)
            if other != path:
                sentence = f"Members {shown(other)} and {shown(path)} differ only by case or "
                self._findings.add("lookalike-members", f"{sentence}Unicode form; both were kept.")


def _folded(path: str) -> str:
    """``path`` as file systems see it that know neither case nor Unicode forms."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
