"""The pages of the documentation, taken apart: blocks, tables, links, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (README, *sorted(DOCS.rglob("*.md")))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FIELD = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_NOT_IN_ANCHOR = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Block:
    """A fenced block: the word behind the fence, and what is in it."""

    language: str
    text: str


def reference(name: str) -> Path:
    """A page of the reference."""
    return DOCS / "reference" / f"{name}.md"


def name_of(page: Path) -> str:
    """The page's path below the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The fenced blocks, in order."""
    return [Block(*match.groups()) for match in _BLOCK.finditer(page.read_text())]


def rows(page: Path) -> list[list[str]]:
    """The cells of every row of every table, without the headers' rows."""
    lines = [line.strip() for line in _prose(page).splitlines()]
    tables = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in tables]
    headers = {number - 1 for number, row in enumerate(cells) if set("".join(row)) == {"-"}}
    rulers = {number + 1 for number in headers}
    return [row for number, row in enumerate(cells) if number not in headers | rulers]


def codes(text: str) -> list[str]:
    """What stands between backticks."""
    return _CODE.findall(text)


def fields_below(page: Path, heading: str) -> set[str]:
    """The fields that the table below a heading explains."""
    section = page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return {*_FIELD.findall(section)}


def links(page: Path) -> list[str]:
    """The targets of the links."""
    return _LINK.findall(_prose(page))


def anchors(page: Path) -> Iterator[str]:
    """What ``#…`` may name on the page, as GitHub makes it of headings."""
    for heading in _HEADING.findall(_prose(page)):
        yield _NOT_IN_ANCHOR.sub("", heading.lower()).replace(" ", "-")


def _prose(page: Path) -> str:
    return _BLOCK.sub("", page.read_text())
