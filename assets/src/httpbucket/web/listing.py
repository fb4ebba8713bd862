"""The table of a directory's page: its rows, and the orders that they can have."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote

from werkzeug.exceptions import BadRequest

from httpbucket.domain.public_path import PublicPath
from httpbucket.services.browse import Shown
from httpbucket.services.view import is_viewable

#: So many entries are held to be sorted, at about 700 bytes each; more come in order of name.
MOST_SORTED = 10_000


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as the page shows it. ``size`` is bytes, None for a directory."""

    name: str
    href: str
    # Where the entry has its page, relative; ``href`` may lead to the origin of contents.
    here: str
    size: int | None
    modified: datetime
    kind: str
    shows: str | None
    has_view: bool


#: Column → what its rows are compared by. Directories have no size, and come before files.
_KEYS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: row.name,
    "size": lambda row: -1 if row.size is None else row.size,
    "modified": lambda row: row.modified,
    "kind": lambda row: (row.size is not None, row.kind),
}
_LARGEST_FIRST = {"size", "modified"}


@dataclass(frozen=True, slots=True)
class Order:
    """A column to sort by; printed and read with a minus in front where it is descending."""

    column: str = "name"
    descending: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``?sort=`` says. Raises BadRequest."""
        column = text.removeprefix("-")
        if column not in _KEYS:
            raise BadRequest(
                f"sort is {text[:80]!r}; expected {', '.join(_KEYS)}, "
                "or one of these with a minus in front."
            )
        return cls(column, descending=text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.column}" if self.descending else self.column

    @property
    def is_usual(self) -> bool:
        """Whether directories are kept in this order."""
        return self == Order()

    def aria(self, column: str) -> str:
        """What a screen reader is told of a column (WAI-ARIA 1.2, aria-sort)."""
        if column != self.column:
            return "none"
        return "descending" if self.descending else "ascending"

    def choose(self, column: str) -> str:
        """The order that the head of a column leads to: the other way round if it has it."""
        if column == self.column:
            return str(Order(column, not self.descending))
        return str(Order(column, column in _LARGEST_FIRST))


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows in an order; ``is_sorted`` is False where there were too many for the wanted one."""

    rows: Iterable[Row]
    order: Order
    is_sorted: bool = True


def listing(
    entries: Iterator[Shown], order: Order, file_href: Callable[[PublicPath], str]
) -> Listing:
    """The rows of entries, which come in order of name and are held only to be sorted.

    ``file_href`` says what a file is linked by.
    """
    rows = (_row(entry, file_href) for entry in entries)
    if order.is_usual:
        return Listing(rows, order)
    held = list(itertools.islice(rows, MOST_SORTED + 1))
    if len(held) > MOST_SORTED:
        return Listing(itertools.chain(held, rows), Order(), is_sorted=False)
    held.sort(key=_KEYS[order.column], reverse=order.descending)
    return Listing(held, order)


def listed_name(shown: Shown) -> str:
    """The name, with a slash behind a directory's."""
    return f"{shown.entry.name}/" if shown.entry.is_directory else shown.entry.name


def _row(shown: Shown, file_href: Callable[[PublicPath], str]) -> Row:
    entry, here = shown.entry, quote(shown.entry.name, safe="")
    return Row(
        name=listed_name(shown),
        href=f"{here}/" if entry.is_directory else file_href(shown.path),
        here=here,
        size=None if entry.is_directory else entry.size,
        modified=shown.modified,
        kind="directory" if entry.is_directory else shown.media_type,
        shows=entry.target,
        has_view=not entry.is_directory and is_viewable(entry.name, shown.media_type, entry.size),
    )
