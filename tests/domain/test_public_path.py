"""Which texts from outside are paths of something that may be looked at."""

import pytest

from httpbucket.domain.errors import NameNotFound
from httpbucket.domain.public_path import PublicPath


@pytest.mark.parametrize(
    "text",
    [
        "archive",
        "replica",
        "archive/2026/11/21",
        "replica/user/bob/日本語.20261121.1432.0.xml",
        "archive/a b/%2e%2e/...",
    ],
)
def test_a_path_reads_back_as_it_was(text: str) -> None:
    assert str(PublicPath.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "blob/ab",
        "private/index.sqlite3",
        "Archive",
        "archive/",
        "archive//a",
        "/archive",
        "archive/.",
        "archive/../private/index.sqlite3",
        "archive/a/..",
        "archive/a\0b",
        "archive/a\r\nb",
        "archive/caf\udce9",
        "archive/" + "a" * 256,
        "archive/" + "é" * 128,
    ],
)
def test_any_other_text_is_the_name_of_nothing(text: str) -> None:
    with pytest.raises(NameNotFound):
        PublicPath.parse(text)


def test_the_sentence_shows_a_path_that_is_no_unicode() -> None:
    with pytest.raises(NameNotFound, match=r"There is nothing named 'archive/caf\?'\."):
        PublicPath.parse("archive/caf\udce9")


def test_a_path_below_a_directory_is_seen_from_there() -> None:
    top = PublicPath.parse("archive/2026")
    assert (top / "11" / "21").below(top) == "11/21"
    assert top.below(top) == ""
