"""What changed too lately for its times to tell of another change."""

from __future__ import annotations

import os

#: What changed less than so many seconds before it was looked at, may change again without its
#: times telling: the clock of a file system may be that coarse.
SETTLED_SECONDS = 2.0


def changed_last(status: os.stat_result) -> float:
    """When the bytes or the names of something changed last, in Unix time."""
    return max(status.st_mtime, status.st_ctime)


def had_settled(changed: float, *, before: float) -> bool:
    """Whether a change after the moment ``before`` shows in the times; both in Unix time."""
    return changed <= before - SETTLED_SECONDS
