"""Names from outside become one safe path part each."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpbucket.domain.errors import EmptyFilename
from httpbucket.domain.filename import (
    FALLBACK_NAME,
    MAX_NAME_BYTES,
    cut_to_bytes,
    is_marked,
    kept_filename,
    mark,
    safe_part,
    split_extension,
)

ANY_TEXT = st.text(st.characters(exclude_categories=[]), min_size=1)


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("results.xml", "results.xml"),
        ("../../x", "x"),
        ("/etc/passwd", "passwd"),
        ("..", FALLBACK_NAME),
        (".", FALLBACK_NAME),
        ("a/..", FALLBACK_NAME),
        ("/", FALLBACK_NAME),
        ("   ", FALLBACK_NAME),
        ("C:\\Users\\x.txt", "x.txt"),
        ("directory/", "directory"),
        ("日本語.txt", "日本語.txt"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("a b.txt", "a b.txt"),
        ("a_b.txt", "a_b.txt"),
        ('a;b"c.txt', 'a;b"c.txt'),
        (".tar.gz", "_.tar.gz"),
        (".upload.json", "_.upload.json"),
        ("a\0b\nc", "a_b_c"),
        ("\u202egpj.exe", "_gpj.exe"),
        ("\ud800", "_"),
        ("noext", "noext"),
        ("a.", "a."),
    ],
)
def test_a_file_is_kept_under_a_name_as_close_as_safety_allows(given_name: str, kept: str) -> None:
    assert kept_filename(given_name) == kept


@pytest.mark.parametrize("nothing", ["", None])
def test_a_file_without_a_name_is_refused(nothing: str | None) -> None:
    with pytest.raises(EmptyFilename):
        kept_filename(nothing)


def test_a_long_name_is_cut_and_keeps_its_extension() -> None:
    name = kept_filename("é" * 125 + ".tar.gz")
    assert len(name.encode()) in (MAX_NAME_BYTES - 1, MAX_NAME_BYTES)
    assert name.endswith(".tar.gz")
    assert is_marked(name.removesuffix(".tar.gz"))


def test_long_names_that_differ_at_their_ends_stay_different() -> None:
    assert kept_filename("a" * 300 + "1") != kept_filename("a" * 300 + "2")


def test_a_long_name_is_cut_alike_in_every_normal_form_and_from_every_directory() -> None:
    composed, decomposed = "\u00e9" * 125, "e\u0301" * 125
    assert kept_filename(composed) == kept_filename(decomposed) == kept_filename(f"x/{composed}")


@given(ANY_TEXT)
def test_whatever_the_name_the_kept_one_is_a_single_safe_part(text: str) -> None:
    name = kept_filename(text)
    assert 1 <= len(name.encode()) <= MAX_NAME_BYTES
    assert not set(name) & set("/\\\0\n\u202e")
    assert not name.startswith(".")
    assert kept_filename(name) == name


@given(ANY_TEXT)
def test_a_safe_part_is_normal_and_safe_already(text: str) -> None:
    part = safe_part(text)
    assert safe_part(part) == part == unicodedata.normalize("NFC", part)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 50))
def test_a_cut_name_fits_its_limit(text: str, times: int) -> None:
    name = text * times
    assert len(cut_to_bytes(name, whole=name).encode()) <= MAX_NAME_BYTES


def test_a_mark_shows_that_it_is_one() -> None:
    assert is_marked(mark("x", whole="y"))
    assert not is_marked("x~0123456789ABCDEF")
    assert not is_marked("x~0123456789abcdef\n")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x.tar.gz", ("x", ".tar.gz")),
        ("x.log.XZ", ("x", ".log.XZ")),
        ("x.y.log", ("x.y", ".log")),
        ("_.tar.gz", ("_", ".tar.gz")),
        ("noext", ("noext", "")),
        ("a.", ("a.", "")),
        ("a..gz", ("a.", ".gz")),
        ("app-1.2", ("app-1.2", "")),
        ("app-1.2.gz", ("app-1.2", ".gz")),
        ("Mr. Smith", ("Mr. Smith", "")),
        ("x.7z", ("x", ".7z")),
        (f"x.{'long' * 10}", (f"x.{'long' * 10}", "")),
        (f"x.{'y' * 30}.gz", (f"x.{'y' * 30}", ".gz")),
        ("x.日本", ("x", ".日本")),
        (".gz", (".gz", "")),
    ],
)
def test_a_name_is_split_before_its_extension(name: str, expected: tuple[str, str]) -> None:
    assert split_extension(name) == expected


@given(ANY_TEXT)
def test_stem_and_extension_together_are_the_name(name: str) -> None:
    assert "".join(split_extension(name)) == name
