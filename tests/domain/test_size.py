"""Sizes are read as operators write them and shown as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpbucket.domain.size import parse_size, show_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("10", 10), ("10b", 10), ("10kb", 10240), (" 10 MB ", 10 << 20), ("2tb", 2 << 40)],
)
def test_a_size_is_bytes_or_a_number_with_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "-1", "abc", "mb", "1.5mb", "10xb", "1e3", "٣mb", "9" * 16])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 kB"),
        (1024**2 - 1, "1 MB"),
        (1024**4 - 1, "1 TB"),
        (5000 << 40, "5000 TB"),
    ],
)
def test_a_size_is_shown_in_the_largest_unit_that_fits(size: int, shown: str) -> None:
    assert show_size(size) == shown


@given(st.integers(0, 1023), st.sampled_from(["B", "kB", "MB", "GB", "TB"]))
def test_a_whole_number_of_a_unit_reads_back(number: int, unit: str) -> None:
    size = parse_size(f"{number}{unit}")
    assert parse_size(show_size(size)) == size
