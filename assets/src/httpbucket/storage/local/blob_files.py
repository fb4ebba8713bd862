"""The files of a blob: ``<sha256>``, and siblings ``<sha256>~1`` and so on.

A sibling has the same bytes, and is made when the others can take no more names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from httpbucket.domain.digest import Digest, sha256
from httpbucket.storage.local.layout import Layout

_NAME = re.compile(r"([0-9a-f]{64})(~[0-9]+)?")


def blob_of(name: str) -> Digest | None:
    """The blob whose file or sibling has this name; None where it is no such name."""
    match = _NAME.fullmatch(name)
    return sha256(match[1]) if match else None


def sibling_of(path: Path, number: int) -> Path:
    """The path of a sibling of the blob whose own file this is."""
    return path.with_name(f"{path.name}~{number}")


def siblings_of(layout: Layout, blob: Digest) -> Iterator[Path]:
    """The siblings that there are."""
    path = layout.blob(blob)
    return path.parent.glob(f"{path.name}~*")


def files_of(layout: Layout, blob: Digest) -> list[Path]:
    """Where the blob's bytes may lie: its file, and the siblings that there are."""
    return [layout.blob(blob), *siblings_of(layout, blob)]
