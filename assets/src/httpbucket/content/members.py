"""What an archive file's reader gives: one value for each member, and the content beside it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from math import isfinite
from typing import NamedTuple

#: The last second of the year 9999; later times have no date in most programs.
_LATEST_MTIME = 253402300799.0


class MemberKind(Enum):
    """What a member is. ``OTHER`` are devices, FIFOs and what else never becomes a file."""

    FILE = "file"
    DIRECTORY = "directory"
    HARDLINK = "hardlink"
    SYMLINK = "symlink"
    OTHER = "other"


class Member(NamedTuple):
    """One entry of an archive file, its name already checked.

    ``path`` is relative, of safe parts joined by ``/``; ``size`` is the bytes of a file's content;
    ``mtime`` is seconds since 1970, between 0 and the year 9999. ``target`` is, for a hardlink, the
    checked path of the earlier member; for a symlink, the text of the link as it came; for
    ``OTHER``, what it is in words.
    """

    path: str
    kind: MemberKind
    size: int = 0
    mtime: float = 0.0
    executable: bool = False
    target: str = ""


#: A member and its content in pieces of at most 1 MiB, to be read before the next entry is asked
#: for; what is not read then is skipped. Only files have content.
Entry = tuple[Member, Iterable[bytes]]


def sane_mtime(seconds: float) -> float:
    """A time that every program can show: 0 for what lies before 1970 or is no number."""
    if not isfinite(seconds):
        return 0.0
    return min(max(seconds, 0.0), _LATEST_MTIME)
