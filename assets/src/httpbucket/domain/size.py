"""Sizes as operators write them: ``32mb``, powers of 1024."""

from __future__ import annotations

import re

_UNITS = {"": 1, "b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3, "tb": 1024**4}
_SIZE = re.compile(r"([0-9]{1,15})\s*([a-z]*)")


def parse_size(text: str) -> int:
    """Read ``<int>`` or ``<int>`` with ``kb``, ``mb``, ``gb``, ``tb`` as bytes. Raises ValueError.

    >>> parse_size("32mb")
    33554432
    """
    match = _SIZE.fullmatch(text.strip().lower())
    if not match or match[2] not in _UNITS:
        raise ValueError(f"{text!r} is not a size; write bytes, or a number with kb, mb, gb or tb")
    return int(match[1]) * _UNITS[match[2]]


def show_size(size: int) -> str:
    """The size as people read it, in the units that `parse_size` takes.

    >>> show_size(33554432), show_size(1234), show_size(1536 * 1024)
    ('32 MB', '1.2 kB', '1.5 MB')
    """
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if round(amount, 1) < 1024:
            return f"{amount:.1f}".removesuffix(".0") + f" {unit}"
        amount /= 1024
    return f"{amount:.1f}".removesuffix(".0") + " TB"
