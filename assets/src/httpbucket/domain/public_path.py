"""The path of something that anybody may look at: ``archive/…`` or ``replica/…``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from httpbucket.domain.errors import NameNotFound

#: The directories of the store whose names are shown.
SHELVES = ("archive", "replica")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_PART_BYTES = 255


@dataclass(frozen=True, slots=True, order=True)
class PublicPath:
    """A path of checked parts, relative to the store; the one gate for paths from outside.

    >>> str(PublicPath.parse("archive/2026") / "11")
    'archive/2026/11'
    """

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a path without a slash at its end. Raises `NameNotFound`.

        No name that is kept is empty, ``.`` or ``..``, holds control characters, or is no Unicode.
        """
        parts = tuple(text.split("/"))
        if parts[0] not in SHELVES or not all(map(_is_name, parts)):
            raise NameNotFound(text)
        return cls(parts)

    @property
    def name(self) -> str:
        """The last part."""
        return self.parts[-1]

    def below(self, ancestor: PublicPath) -> str:
        """The path as seen from a directory that it lies in."""
        return "/".join(self.parts[len(ancestor.parts) :])

    def __truediv__(self, name: str) -> PublicPath:
        """The path of ``name`` in this directory; ``name`` comes from a listing."""
        return PublicPath((*self.parts, name))

    def __str__(self) -> str:
        return "/".join(self.parts)


def is_shown(name: str) -> bool:
    r"""Whether a name on disk can be asked for at all.

    >>> is_shown("caf\u00e9.txt"), is_shown("caf\udce9.txt")
    (True, False)
    """
    return _is_name(name)


def _is_name(part: str) -> bool:
    if part in ("", ".", "..") or "/" in part or _CONTROL.search(part):
        return False
    try:
        return len(part.encode()) <= _MAX_PART_BYTES
    except UnicodeEncodeError:
        return False
