"""JSON laid out for reading: every value stays as it was written, only the space around changes."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_OPENING, _CLOSING = ("{", "["), ("}", "]")


def laid_out(text: str, *, most_characters: int) -> str | None:
    r"""The text with one value a line, indented; None for what is no JSON, or would be too long.

    Numbers and repeated keys stay as they are, which `json.dumps` would change.

    >>> laid_out('{"a":[1.50,{}]}', most_characters=99)
    '{\n  "a": [\n    1.50,\n    {}\n  ]\n}'
    """
    try:
        # Objects are dropped as soon as they are read, because they take thirty times their text.
        json.loads(text, object_pairs_hook=lambda pairs: None)
    except (ValueError, RecursionError):
        return None
    found = io.StringIO()
    for piece in _pieces(text):
        found.write(piece)
        if found.tell() > most_characters:
            return None
    return found.getvalue()


def _pieces(text: str) -> Iterator[str]:
    depth, before = 0, ""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in _CLOSING:
            depth -= 1
        is_empty = before in _OPENING and token in _CLOSING
        if not is_empty and (before == "," or before in _OPENING or token in _CLOSING):
            yield "\n" + depth * "  "
        yield f"{token} " if token == ":" else token
        if token in _OPENING:
            depth += 1
        before = token
