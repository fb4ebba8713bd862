"""What an upload's tree is on disk, and what a directory is that an archive file is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.live.server import LiveServer

#: None stands for an empty directory.
Tree = dict[str, bytes | None]


def tree_on_disk(top: Path) -> Tree:
    """Every file and every empty directory below ``top``; what is neither fails."""
    found: Tree = {}
    for path in top.rglob("*"):
        name = str(path.relative_to(top))
        assert path.is_dir() or path.is_file(), f"{name} is neither a file nor a directory"
        assert not path.is_symlink(), f"{name} is a symlink"
        if path.is_file():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[name] = None
    return found


def tree_of(server: LiveServer, receipt: dict[str, Any]) -> Tree:
    """The tree that the receipt names."""
    assert receipt["path"]["archive"] is not None, receipt["upload"]["findings"]
    return tree_on_disk(server.archive / receipt["path"]["archive"])


def problems(receipt: dict[str, Any]) -> list[str]:
    """The short names of the findings."""
    return [finding["problem"] for finding in receipt["upload"]["findings"]]


def executables(server: LiveServer, receipt: dict[str, Any]) -> set[str]:
    """The paths that the manifest says are executable."""
    lines = (server.archive / receipt["path"]["upload"] / ".manifest.jsonl").read_bytes()
    entries = [json.loads(line) for line in lines.splitlines()[1:]]
    return {entry["path"] for entry in entries if entry.get("executable")}
