"""Making something aside and renaming it: whoever looks sees all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.staging import LocalStaging


@contextmanager
def made_aside(staging: LocalStaging) -> Iterator[Path]:
    """Where something is made before it is renamed; nothing stays there when that fails."""
    aside = staging.unused_path()
    try:
        yield aside
    except BaseException:
        remove_aside(aside, staging)
        raise


def remove_aside(path: Path, staging: LocalStaging) -> None:
    """Remove what was made aside, or moved there: a file, a link or a directory."""
    if path.is_dir() and not path.is_symlink():
        staging.remove_tree(path)
    else:
        path.unlink(missing_ok=True)


def write_over(path: Path, content: bytes, mode: int, *, disk: Disk, staging: LocalStaging) -> None:
    """Have the file hold this and nothing else. The caller syncs its directory."""
    with made_aside(staging) as aside:
        disk.write_new(aside, content, mode)
        disk.rename(aside, path)
