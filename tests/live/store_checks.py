"""What must be true of a store whenever no process uses it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from tests.live.server import digest


def faults(archive: Path) -> list[str]:
    """Everything in the public part of a store that a reader would take for whole, and is not."""
    return [*_blob_faults(archive / "blob"), *_upload_faults(archive)]


def _blob_faults(blobs: Path) -> Iterator[str]:
    for path in blobs.rglob("*"):
        if path.is_file():
            with path.open("rb") as blob:
                actual = hashlib.file_digest(blob, "sha256").hexdigest()
            place = path.relative_to(blobs).parts
            if place != (actual[:2], actual[2:4], actual):
                yield f"the blob {path} holds {actual}"


def _upload_faults(archive: Path) -> Iterator[str]:
    for directory in (archive / "archive").glob("*/*/*/*"):
        names = {path.name for path in directory.iterdir()}
        if ".upload.json" not in names:
            yield f"{directory} has no record"
            continue
        record = json.loads((directory / ".upload.json").read_bytes())
        uploaded = record["uploaded"]
        if record["id"] != directory.name or names != {".upload.json", uploaded["name"]}:
            yield f"{directory} holds {names}, and the record of {record['id']}"
            continue
        content = (directory / uploaded["name"]).read_bytes()
        if digest(content) != uploaded["digests"]["sha256"] or len(content) != uploaded["size"]:
            yield f"{directory / uploaded['name']} is not what its record says"
