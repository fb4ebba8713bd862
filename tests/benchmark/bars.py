"""Plots as SVG: horizontal bars, readable on a light and a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _LABEL, _VALUE = 820, 290, 130
_BAR, _GAP, _TITLE = 18, 6, 34


@dataclass(frozen=True)
class Bar:
    """One bar: who, how long it is, what it says, and whether it is ours."""

    label: str
    value: float
    text: str
    ours: bool


@dataclass(frozen=True)
class Group:
    """Bars on one scale, below a title."""

    title: str
    bars: Sequence[Bar]


def plot(groups: Sequence[Group]) -> str:
    """All groups below each other, each on a scale of its own."""
    pieces, top = [], 0
    for group in groups:
        pieces.append(_text(0, top + 22, group.title, weight="bold"))
        top += _TITLE
        most = max(bar.value for bar in group.bars) or 1
        for bar in group.bars:
            pieces += _bar(bar, top, most)
            top += _BAR + _GAP
    # A grey that can be read on white and on black.
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}"'
        ' font-family="sans-serif" font-size="13" fill="#808080">\n'
        + "\n".join(pieces)
        + "\n</svg>\n"
    )


def _bar(bar: Bar, top: int, most: float) -> list[str]:
    length = max(1.0, (_WIDTH - _LABEL - _VALUE) * bar.value / most)
    colour = "#2f7fd1" if bar.ours else "#9a9a9a"
    return [
        _text(_LABEL - 8, top + 14, bar.label, anchor="end"),
        f'<rect x="{_LABEL}" y="{top}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>',
        _text(round(_LABEL + length + 6), top + 14, bar.text),
    ]


def _text(x: int, y: int, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    style = f'text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x}" y="{y}" {style}>{escape(text)}</text>'
