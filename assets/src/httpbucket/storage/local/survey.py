"""What lies in ``blob/``, as the directories show it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from httpbucket.domain.digest import Digest
from httpbucket.storage.base import Standing
from httpbucket.storage.local.blob_files import files_of
from httpbucket.storage.local.disk import told_as_refusals
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.pins import count_pins

_BLOB = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/\1\2[0-9a-f]{60}(~[1-9][0-9]*)?")


class LocalSurvey:
    """Counts links; a sibling is another file of the same blob."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def standing(self, blob: Digest) -> Standing | None:
        found = []
        with told_as_refusals():
            for one in files_of(self._layout, blob):
                with suppress(FileNotFoundError):
                    found.append(one.stat())
            if not found:
                return None
            holders = count_pins(self._layout, blob)
        # A pin is a name as well, but nobody's but the upload's that is on its way.
        names = sum(status.st_nlink - 1 for status in found) - holders
        return Standing(found[0].st_size, len(found), max(0, names), holders)

    def strangers(self) -> Iterator[str]:
        with told_as_refusals():
            for directory, below, files in os.walk(self._layout.blobs):
                below.sort()
                for name in sorted(files):
                    path = os.path.relpath(f"{directory}/{name}", self._layout.blobs)
                    if not _BLOB.fullmatch(path):
                        yield f"blob/{path}"
