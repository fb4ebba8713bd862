"""Finding single members in a manifest, without reading all of it."""

from __future__ import annotations

import json
from typing import BinaryIO

from httpbucket.domain.manifest import ManifestEntry, beginning_of_line

# Most lines have a few hundred bytes.
_STEP = 2048


class ManifestSearch:
    """Looks paths up in a manifest, whose entries are in order of path.

    A question costs about as many short reads as the number of entries has binary digits; one for
    the entry behind the last answer costs only one. ``reader`` is closed by `close`.
    """

    def __init__(self, reader: BinaryIO) -> None:
        self._reader = reader
        self._first = len(reader.readline())
        self._end = reader.seek(0, 2)
        reader.seek(self._first)

    def find(self, path: str) -> ManifestEntry | None:
        """The entry with this path; None when there is none. Raises ValueError for a bad line."""
        line = self._reader.readline()
        if not line.startswith(beginning_of_line(path)):
            line = self._search(path)
        return ManifestEntry.from_line(line) if line else None

    def close(self) -> None:
        """Let go of the manifest."""
        self._reader.close()

    def _search(self, path: str) -> bytes:
        low, high = self._first, self._end
        while low < high:
            start = self._start_of_line((low + high) // 2, low)
            self._reader.seek(start)
            line = self._reader.readline()
            found = _path(line)
            if found == path:
                return line
            if found < path:
                low = start + len(line)
            else:
                high = start
        return b""

    def _start_of_line(self, position: int, low: int) -> int:
        """Where the line begins that holds ``position``; a line begins at ``low``."""
        while position > low:
            start = max(low, position - _STEP)
            self._reader.seek(start)
            newline = self._reader.read(position - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            position = start
        return low


def _path(line: bytes) -> str:
    try:
        return str(json.loads(line)["path"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a manifest's entry: {error!r}") from error
