"""View decides how a file is shown to people, and reads as much of it as that takes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from httpbucket.content.json_layout import laid_out
from httpbucket.content.junit import NotJunit, TestReport, read_report
from httpbucket.content.terminal import LONGEST_LINE, Span, coloured_lines, plain_line
from httpbucket.domain.blob import UNKNOWN_MEDIA_TYPE
from httpbucket.domain.size import show_size
from httpbucket.services.browse import Browse, Shown

#: Larger files are not shown as text. Bytes.
MOST_BYTES = 2 * 1024**2
MOST_LINES = 50_000
MOST_TESTS = 5_000
MOST_LINES_OF_A_TEST = 1_000

# JSON takes more room when it is laid out.
_MOST_CHARACTERS = 2 * MOST_BYTES

_IMAGES = {
    *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"),
    *("image/svg+xml", "image/x-icon", "image/vnd.microsoft.icon"),
}
_TEXTS = {
    *("application/json", "application/x-ndjson", "application/xml", "application/javascript"),
    *("application/x-shellscript", "application/yaml", "application/toml", "inode/x-empty"),
}
_TEXT_SUFFIXES = (".txt", ".log", ".out", ".err", ".md", ".csv", ".tap", ".json", ".xml", ".yaml")
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class View:
    """A file as people see it: an image, test results, lines, or nothing but a ``note``.

    ``notes`` are sentences that tell what is not shown, or not as it is written. ``has_source``
    says that the lines of the file are something else than what is shown.
    """

    kind: Literal["image", "results", "text", "nothing"]
    notes: tuple[str, ...] = ()
    text: str = ""
    report: TestReport | None = None
    has_source: bool = False

    @property
    def lines(self) -> Iterator[tuple[Span, ...]]:
        """The lines of ``text`` that are shown."""
        return islice(coloured_lines(self.text), MOST_LINES)


def text_lines(text: str) -> Iterator[tuple[Span, ...]]:
    """The first lines of what a test says, with colours."""
    return islice(coloured_lines(text), MOST_LINES_OF_A_TEST)


def text_line(text: str) -> tuple[Span, ...]:
    """One line, without colours."""
    return plain_line(text[:LONGEST_LINE])


def is_viewable(name: str, media_type: str, size: int) -> bool:
    """Whether such a file is shown, as far as can be told without reading it."""
    return media_type in _IMAGES or (size <= MOST_BYTES and _is_text(name, media_type))


def view(browse: Browse, shown: Shown, *, as_text: bool = False) -> View:
    """How a file is shown; ``as_text`` wants the lines that are in it, whatever they mean."""
    if shown.media_type in _IMAGES and not as_text:
        return View("image", has_source=_is_text(shown.path.name, shown.media_type))
    with browse.open(shown) as reader:
        content = reader.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        return View("nothing", (f"The file is larger than {show_size(MOST_BYTES)}.",))
    text, is_exact = _decoded(content)
    if text is None or not (is_exact or _is_text(shown.path.name, shown.media_type)):
        return View("nothing", ("The file is no text.",))
    notes = () if is_exact else ("What is not UTF-8 is shown as \\x and its number.",)
    if as_text:
        return _as_text(text, notes)
    return _results(content, shown) or _laid_out(text, shown, notes) or _as_text(text, notes)


def _as_text(text: str, notes: tuple[str, ...] = ()) -> View:
    if not text:
        return View("nothing", ("The file is empty.",))
    if text.count("\n") > MOST_LINES:
        notes = (*notes, f"Only the first {MOST_LINES:,} lines are shown.")
    return View("text", notes, text)


def _results(content: bytes, shown: Shown) -> View | None:
    if not _is_named(shown, "xml"):
        return None
    try:
        report = read_report(content)
    except NotJunit:
        return None
    left_out = len(report.cases) - MOST_TESTS
    notes = (f"Another {left_out:,} tests are not shown.",) if left_out > 0 else ()
    return View("results", notes, report=report, has_source=True)


def _laid_out(text: str, shown: Shown, notes: tuple[str, ...]) -> View | None:
    if not _is_named(shown, "json"):
        return None
    found = laid_out(text, most_characters=_MOST_CHARACTERS)
    if found is None or found == text.strip():
        return None
    notes = (*notes, "The JSON is laid out anew, so lines are not the file's.")
    return replace(_as_text(found, notes), has_source=True)


def _is_named(shown: Shown, form: str) -> bool:
    return shown.path.name.lower().endswith(f".{form}") or shown.media_type.endswith(form)


def _is_text(name: str, media_type: str) -> bool:
    """Whether it should be text; logs with control characters are so by their name alone."""
    if media_type == UNKNOWN_MEDIA_TYPE:
        return name.lower().endswith(_TEXT_SUFFIXES)
    return (
        media_type.startswith("text/")
        or media_type in _TEXTS
        or media_type.endswith(("+json", "+xml"))
    )


def _decoded(content: bytes) -> tuple[str | None, bool]:
    """The text, None if there is none; and whether every byte of it could be read."""
    marks = (mark for mark in _BYTE_ORDER_MARKS if content.startswith(mark))
    encoding = _BYTE_ORDER_MARKS.get(next(marks, b""), "utf-8")
    if encoding != "utf-16" and b"\0" in content:
        return None, False
    try:
        return content.decode(encoding), True
    except UnicodeDecodeError:
        return content.decode(encoding, errors="backslashreplace"), False
