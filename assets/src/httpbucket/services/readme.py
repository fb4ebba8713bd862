"""The text that a directory has for its readers."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from httpbucket.content.terminal import Span, coloured_lines
from httpbucket.domain.errors import NameNotFound, StorageUnavailable
from httpbucket.services.browse import Browse, Shown

#: The first of these that is there is shown.
NAMES = ("README.md", "README.txt", "README.rst", "README", "readme.md", "readme.txt")

#: More of a text is not shown below a listing. Bytes.
MOST_BYTES = 32 * 1024
MOST_LINES = 500


@dataclass(frozen=True)
class Readme:
    """The beginning of a text; ``is_cut`` says that the file goes on."""

    name: str
    text: str
    is_cut: bool

    @property
    def lines(self) -> Iterator[tuple[Span, ...]]:
        """The lines that are shown."""
        return islice(coloured_lines(self.text), MOST_LINES)


def readme_of(browse: Browse, directory: Shown) -> Readme | None:
    """What a directory says of itself; None where there is no such file, or it is no text."""
    for name in NAMES:
        # One file that cannot be read keeps nobody from the others.
        with suppress(NameNotFound, StorageUnavailable):
            shown = browse.look(directory.path / name)
            if not shown.entry.is_directory:
                return _beginning(browse, shown)
    return None


def _beginning(browse: Browse, shown: Shown) -> Readme | None:
    with browse.open(shown) as reader:
        content = reader.read(MOST_BYTES + 1)
    if b"\0" in content or not content.strip():
        return None
    is_cut = len(content) > MOST_BYTES
    # A letter of several bytes may be cut in two.
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="backslashreplace")
    text = decoder.decode(content[:MOST_BYTES], final=not is_cut)
    return Readme(shown.path.name, text, is_cut or text.count("\n") > MOST_LINES)
