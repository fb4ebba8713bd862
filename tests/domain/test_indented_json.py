"""Indented JSON is written as the standard library would."""

from __future__ import annotations

import json
import random
from enum import IntEnum
from typing import Any

import pytest

from httpbucket.domain.indented_json import indented

TEXTS = (
    "",
    "plain",
    'quo"te',
    "back\\slash",
    "\n\t\x00\x1f\x7f",
    "ä日本",
    "\ud800",
    "\u2028",
    "😀",
)


def value_of(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(8 if depth else 5)
    if kind < 5:
        plain = (None, True, False, chance.randrange(-(10**20), 10**20), chance.choice(TEXTS))
        return plain[kind]
    size = chance.randrange(4)
    if kind == 5:
        return [value_of(chance, depth - 1) for _ in range(size)]
    return {chance.choice(TEXTS): value_of(chance, depth - 1) for _ in range(size)}


@pytest.mark.parametrize("indent", [1, 2])
def test_it_is_what_the_standard_library_writes(indent: int) -> None:
    chance = random.Random(indent)
    for _ in range(2_000):
        value = value_of(chance, 4)
        expected = json.dumps(value, ensure_ascii=False, indent=indent)
        assert indented(value, indent) == expected


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize("value", [1.5, (1,), b"", {1: 2}, Number.ONE, {"a": object()}, [{1, 2}]])
def test_what_it_does_not_know_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        indented(value, 1)
