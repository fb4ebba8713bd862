"""Text as a terminal would colour it."""

from __future__ import annotations

import time

import pytest

from httpbucket.content.terminal import LONGEST_LINE, Span, coloured_lines, plain_line


def spans(text: str) -> list[tuple[str, str]]:
    return [(span.text, span.look) for line in coloured_lines(text) for span in line]


@pytest.mark.parametrize(
    ("parameters", "look"),
    [
        ("31", "ink1"),
        ("1;31", "ink1 bold"),
        ("1:31", "ink1 bold"),
        ("97", "ink15"),
        ("41", "ground1"),
        ("107", "ground15"),
        ("3;4;7;9;2", "dim inverse italic struck underline"),
        ("1;22", ""),
        ("31;39;41;49", ""),
        ("31;0", ""),
        ("31;", ""),
        ("38;5;9", "ink9"),
        ("38;5;196", "ink9"),
        ("38;5;232", "ink0"),
        ("48;2;0;0;250", "ground12"),
        ("38;5", "ink0"),
        ("38;2;1", "ink0"),
        ("38", ""),
        ("8", ""),
        ("38;5;99999999", "ink15"),
        ("9" * 5000, ""),
        ("?25", ""),
        ("98;48;108;29", ""),
    ],
)
def test_a_style_is_told_by_names(parameters: str, look: str) -> None:
    assert spans(f"\x1b[{parameters}mx") == [("x", look)]


def test_a_style_goes_on_to_the_next_line_until_it_ends() -> None:
    assert spans("\x1b[32ma\r\nb\x1b[mc") == [("a", "ink2"), ("b", "ink2"), ("c", "")]


@pytest.mark.parametrize(
    "sequence",
    ["\x1b[2K", "\x1b[1;1H", "\x1b[?25l", "\x1b]8;;http://x\x1b\\", "\x1b]0;title\x07", "\x1b(B"],
)
def test_other_sequences_are_left_out(sequence: str) -> None:
    assert spans(f"a{sequence}b") == [("a", ""), ("b", "")]


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\0", "␀"),
        ("\x08", "␈"),
        ("\x1b", "␛"),
        ("\rx", "␍"),
        ("\x7f", "␡"),
        ("\x9b", "U+009B"),
        ("\u202e", "U+202E"),
        ("\u2066", "U+2066"),
        ("\u200b", "U+200B"),
        ("\udc80", "U+DC80"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(character: str, name: str) -> None:
    assert (name, "odd") in spans(f"a{character}")
    assert Span(name, "odd") in plain_line(f"a{character}")


@pytest.mark.parametrize("text", ["日本語\t🏳️\u200d🌈", "שלום"])
def test_other_letters_stay(text: str) -> None:
    assert spans(text) == [(text, "")]


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a", 1), ("a\n", 1), ("a\n\n", 2)])
def test_a_line_ends_with_its_break(text: str, count: int) -> None:
    assert len(list(coloured_lines(text))) == count


def test_a_huge_line_is_cut_and_says_so() -> None:
    for line in ("x" * LONGEST_LINE + "\x1b[31m" + "y" * 5, "x" * (LONGEST_LINE + 5) + "\x1b[m"):
        assert spans(line) == [("x" * LONGEST_LINE, ""), ("… 5 more characters", "odd")]


@pytest.mark.parametrize("piece", ["\x1b[", "\x1b]", "\x1b[1m", "\x1b]8;;", "\x1b[;;;;", "\x1b"])
def test_no_text_takes_long(piece: str) -> None:
    started = time.monotonic()
    assert len(list(coloured_lines(piece * (2**20 // len(piece))))) == 1
    assert time.monotonic() - started < 20
