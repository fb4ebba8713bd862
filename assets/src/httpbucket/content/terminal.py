"""Text as a terminal would colour it, line by line, with nothing in it that acts or hides.

Colours and styles are ECMA-48's SGR (8.3.117); other control sequences are left out. Characters
that cannot be seen, or that turn the direction of text, are made visible.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

#: So many characters of a line are shown.
LONGEST_LINE = 10_000

#: What a character stands as that cannot be seen.
ODD = "odd"

_SEQUENCE = re.compile(
    r"\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B])"
)
_ODD = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_NUMBERS = re.compile(r"[;:]")

_STYLES = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "struck"}
_ENDS = {22: {"bold", "dim"}, 23: {"italic"}, 24: {"underline"}, 27: {"inverse"}, 29: {"struck"}}
_BASIC = tuple((255 * (n & 1), 255 * (n >> 1 & 1), 255 * (n >> 2 & 1)) for n in range(8))
_PALETTE = (*(tuple(2 * part // 3 for part in colour) for colour in _BASIC), *_BASIC)


@dataclass(frozen=True, slots=True)
class Span:
    """Text of one look; ``look`` is the names of its style, separated by spaces."""

    text: str
    look: str = ""


@dataclass(frozen=True, slots=True)
class _Look:
    """The style under way."""

    ink: int | None = None
    ground: int | None = None
    styles: frozenset[str] = frozenset()

    def __str__(self) -> str:
        ink = () if self.ink is None else (f"ink{self.ink}",)
        ground = () if self.ground is None else (f"ground{self.ground}",)
        return " ".join((*ink, *ground, *sorted(self.styles)))


def coloured_lines(text: str) -> Iterator[tuple[Span, ...]]:
    r"""The lines of a text. A look goes on from line to line, as on a terminal.

    >>> list(coloured_lines("a \x1b[1;31mred\nb\x1b[m c"))[1]
    (Span(text='b', look='ink1 bold'), Span(text=' c', look=''))
    """
    look = _Look()
    for line in io.StringIO(text, newline="\n"):
        spans, look = _line(line.removesuffix("\n").removesuffix("\r"), look)
        yield spans


def plain_line(text: str) -> tuple[Span, ...]:
    """One line without colours, in which everything can be seen."""
    return tuple(_visible(text, ""))


def _line(line: str, look: _Look) -> tuple[tuple[Span, ...], _Look]:
    spans: list[Span] = []
    left = LONGEST_LINE
    for text, style in _styled(line):
        if left > 0:
            spans += _visible(text[:left], str(look))
        left -= len(text)
        look = look if style is None else _changed(look, style)
    if left < 0:
        spans.append(Span(f"… {-left:,} more characters", ODD))
    return tuple(spans), look


def _styled(line: str) -> Iterator[tuple[str, str | None]]:
    """The texts between the control sequences, each with the parameters of a style behind it."""
    start = 0
    for match in _SEQUENCE.finditer(line):
        yield line[start : match.start()], match[1] if match[2] == "m" else None
        start = match.end()
    yield line[start:], None


def _visible(text: str, look: str) -> Iterator[Span]:
    start = 0
    for match in _ODD.finditer(text):
        if match.start() > start:
            yield Span(text[start : match.start()], look)
        yield Span(_name(match[0]), ODD)
        start = match.end()
    if start < len(text):
        yield Span(text[start:], look)


def _name(character: str) -> str:
    """A picture of a control character, or the character's number."""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"U+{code:04X}"


# A log has few styles, and may change between them very often.
@functools.lru_cache(maxsize=1024)
def _changed(look: _Look, parameters: str) -> _Look:
    numbers = iter([int(n) if n.isdecimal() else 0 for n in _NUMBERS.split(parameters[:200])])
    for number in numbers:
        look = _change(look, number, lambda: next(numbers, 0))
    return look


def _change(look: _Look, number: int, following: Callable[[], int]) -> _Look:
    if number == 0:
        return _Look()
    if number in _STYLES:
        return replace(look, styles=look.styles | {_STYLES[number]})
    if number in _ENDS:
        return replace(look, styles=look.styles - _ENDS[number])
    if number in (38, 48):
        colour = _extended(following)
        return replace(look, ink=colour) if number == 38 else replace(look, ground=colour)
    if number in (39, 49):
        return replace(look, ink=None) if number == 39 else replace(look, ground=None)
    return _basic(look, number)


def _basic(look: _Look, number: int) -> _Look:
    bright = 8 if number >= 90 else 0
    kind, colour = divmod(number - 60 if bright else number, 10)
    if colour > 7 or kind not in (3, 4):
        return look
    colour += bright
    return replace(look, ink=colour) if kind == 3 else replace(look, ground=colour)


def _extended(following: Callable[[], int]) -> int | None:
    """A colour of 256, or of all, as the nearest of the sixteen that pages have."""
    kind = following()
    if kind == 5:
        return _of_256(min(following(), 255))
    if kind == 2:
        return _nearest(*(min(following(), 255) for _ in range(3)))
    return None


def _of_256(number: int) -> int:
    if number < 16:
        return number
    if number >= 232:
        return _nearest(*3 * [8 + 10 * (number - 232)])
    cube = number - 16
    return _nearest(*(51 * part for part in (cube // 36, cube // 6 % 6, cube % 6)))


@functools.lru_cache(maxsize=1024)
def _nearest(*colour: int) -> int:
    def distance(number: int) -> int:
        return sum((a - b) ** 2 for a, b in zip(_PALETTE[number], colour, strict=True))

    return min(range(16), key=distance)
