"""Where a symlink inside an archive file leads, found from the names alone."""

from __future__ import annotations

from collections.abc import Mapping

#: So many links may stand between a name and its file.
MAX_CHAIN = 8


def resolve_symlink(path: str, links: Mapping[str, str]) -> str | None:
    """The path at which the chain of ``links`` (path to target text) from ``path`` ends.

    None when it leaves the archive file, loops, or has more than `MAX_CHAIN` links. Only the last
    part of a target is followed: a link whose way leads through a linked directory ends nowhere.

    >>> resolve_symlink("a/link", {"a/link": "../b", "b": "c.txt"})
    'c.txt'
    """
    for _ in range(MAX_CHAIN):
        following = _joined(path, links[path])
        if following is None or following not in links:
            return following
        path = following
    return None


def _joined(path: str, target: str) -> str | None:
    if target.startswith("/") or target.endswith("/"):
        return None
    parts = path.split("/")[:-1]
    for part in target.split("/"):
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
