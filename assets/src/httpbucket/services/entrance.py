"""Where people enter a tree: behind directories that hold nothing but one directory."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from httpbucket.domain.errors import NameNotFound
from httpbucket.domain.public_path import PublicPath
from httpbucket.services.browse import Browse

#: The page that a report begins with.
REPORT_NAME = "index.html"

_MOST_STEPS = 16


@dataclass(frozen=True)
class Entrance:
    """The first directory of a tree that holds something else than one directory."""

    path: PublicPath
    has_report: bool


def entrance(browse: Browse, tree: PublicPath) -> Entrance:
    """Where a tree is entered. ``report.tgz`` mostly unpacks to ``report/report/…``."""
    path = tree
    with suppress(NameNotFound):
        directory = browse.look(tree)
        for _ in range(_MOST_STEPS):
            entries, _rest = browse.page(directory, limit=2)
            if len(entries) != 1 or not entries[0].entry.is_directory:
                break
            directory = entries[0]
            path = directory.path
        return Entrance(path, browse.has_file(directory, REPORT_NAME))
    return Entrance(path, has_report=False)
