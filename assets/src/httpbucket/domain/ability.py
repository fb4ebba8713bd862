"""What a client may be allowed to do."""

from __future__ import annotations

import re
from typing import Literal, get_args

Ability = Literal["read", "upload", "delete"]

ABILITIES: tuple[Ability, ...] = get_args(Ability)


def parse_abilities(text: str) -> tuple[Ability, ...]:
    """Read a list such as ``read,upload``; ``none`` is none. Raises ValueError.

    >>> parse_abilities("upload, read")
    ('read', 'upload')
    """
    words = {word.lower() for word in re.split(r"[,\s]+", text) if word}
    if words == {"none"}:
        return ()
    strange = sorted(words.difference(ABILITIES))
    if strange:
        raise ValueError(f"{strange[0]!r} is none of {', '.join(ABILITIES)}; or write none alone")
    return tuple(ability for ability in ABILITIES if ability in words)
