"""Notes are files in ``private/notes/``."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from httpbucket.storage.local.disk import told_as_refusals
from httpbucket.storage.local.layout import Layout

_NOTE_MODE = 0o600


class LocalNotes:
    """One file for each name. Not synced: what is lost with the power is done again."""

    def __init__(self, layout: Layout) -> None:
        self._directory = layout.notes

    def read(self, name: str) -> str:
        with told_as_refusals(), suppress(FileNotFoundError):
            return self._path(name).read_text(errors="replace")
        return ""

    def write(self, name: str, text: str) -> None:
        path = self._path(name)
        aside = path.with_name(f".{name}.{secrets.token_hex(4)}")
        with told_as_refusals():
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _NOTE_MODE)
            try:
                with os.fdopen(descriptor, "w") as writer:
                    writer.write(text)
                aside.replace(path)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise

    def _path(self, name: str) -> Path:
        return self._directory / name
