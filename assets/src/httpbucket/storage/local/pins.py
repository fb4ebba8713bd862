"""Names on the way in: links that keep a blob until an upload names it, and count as names."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from httpbucket.domain.digest import Digest
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.staged_trees import TREES


def pin_name(digest: Digest, number: int) -> str:
    """What a link is called that keeps this blob; the number is the process's own."""
    return f"pin-{digest.hex}-{number}"


def count_pins(layout: Layout, digest: Digest) -> int:
    """How many links of this blob are names on the way in only.

    They lie in any process's staging, in batches too, or are the bytes of a resumable upload that
    became the blob and is not finished.
    """
    patterns = (f"*/pin-{digest.hex}-*", f"*/batch-*/{digest.hex}*")
    pins = sum(1 for pattern in patterns for _ in layout.staging.glob(pattern))
    return pins + _count_resumed(layout, digest)


def oldest_tree(layout: Layout) -> int | None:
    """Since when there may be names on the way in that `count_pins` does not find."""
    trees = layout.staging.glob(f"*/batch-*/{TREES}*")
    return min((int(path.name.removeprefix(TREES)) for path in trees), default=None)


def _count_resumed(layout: Layout, digest: Digest) -> int:
    with suppress(FileNotFoundError):
        blob = layout.blob(digest).stat()
        every = layout.partial_uploads.glob("*/bytes")
        return sum(_is_file(path, blob) for path in every) if blob.st_nlink > 1 else 0
    return 0


def _is_file(path: Path, file: os.stat_result) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), file)
    return False
