"""JSON laid out for reading."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpbucket.content.json_layout import laid_out

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_it_is_laid_out_as_the_standard_library_does(value: Any) -> None:
    expected = json.dumps(value, indent=2)
    assert laid_out(json.dumps(value), most_characters=10**6) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.50", "1.50"),
        ('{"a":1,"a":2}', '{\n  "a": 1,\n  "a": 2\n}'),
        ("[1e999, 10000000000000000000000]", "[\n  1e999,\n  10000000000000000000000\n]"),
        ('["\\u202e:,{}"]', '[\n  "\\u202e:,{}"\n]'),
    ],
)
def test_values_stay_as_they_are_written(text: str, expected: str) -> None:
    assert laid_out(text, most_characters=100) == expected


@pytest.mark.parametrize(
    "text", ["", "{", '{"a":1}\n{"a":2}', "[" * 100_000, "9" * 5000, "[" * 500 + "]" * 500]
)
def test_what_is_no_json_or_grows_too_much_is_left_alone(text: str) -> None:
    assert laid_out(text, most_characters=10_000) is None
