"""One directory name of a template, and what it is filled with."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Self

from httpbucket.domain.filename import MAX_NAME_BYTES, front, is_marked, mark, safe_part
from httpbucket.domain.replica import MAX_ENTRY_BYTES, looks_like_replica, without_dots
from httpbucket.domain.template_headers import refusal

_TOKEN = re.compile(r"\$\{([^${}]*)\}")
_LITERAL_SIGNS = set("._-+@ ")
_LITERAL_CATEGORIES = ("L", "M", "Nd")
_MARK_BYTES = 17
_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class TemplatePart:
    """One directory name: literals with a header's value between each two of them.

    ``literals`` is one longer than ``tokens``; ``tokens`` are header names as they were written.
    """

    literals: tuple[str, ...]
    tokens: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split ``text`` at its tokens. What is wrong with it, `mistakes` tells."""
        pieces = _TOKEN.split(unicodedata.normalize("NFC", text))
        return cls(tuple(pieces[::2]), tuple(pieces[1::2]))

    @property
    def headers(self) -> tuple[str, ...]:
        """The header of each token, in lower case."""
        return tuple(token.lower() for token in self.tokens)

    @property
    def longest(self) -> int:
        """The most bytes that this part can come to."""
        return min(MAX_ENTRY_BYTES, self._literal_bytes + MAX_NAME_BYTES * len(self.tokens))

    def mistakes(self) -> Iterator[str]:
        """A sentence for each thing that makes this no part of a template."""
        yield from _literal_mistakes(str(self), "".join(self.literals), list(self.literals))
        for token in self.tokens:
            reason = refusal(token)
            if reason:
                yield f"{quoted(f'${{{token}}}')} cannot be used: {reason}."

    def fill(self, values: tuple[str, ...]) -> str:
        """The part for these values (NFC, stripped, none empty), one for each token.

        Different values never give the same part: it is the plain text where that is safe, short
        enough, and can be taken apart again into the same values; otherwise what is safe of it
        with a digest of the values. A plain text that itself ends like such a digest gets one too.
        """
        plain = self.joined(values)
        if self._is_kept(plain, values):
            return plain
        room = (MAX_ENTRY_BYTES - _MARK_BYTES - self._literal_bytes) // max(len(values), 1)
        room = min(room, MAX_NAME_BYTES - _MARK_BYTES)
        cut = tuple(front(safe_part(value), room) for value in values)
        name = safe_part(without_dots(self.joined(cut)))
        return mark(name, whole=_one_text(values), limit=MAX_ENTRY_BYTES)

    def __str__(self) -> str:
        return self.joined(tuple(f"${{{token}}}" for token in self.tokens))

    @property
    def _literal_bytes(self) -> int:
        return len("".join(self.literals).encode("utf-8", "surrogatepass"))

    def joined(self, values: tuple[str, ...]) -> str:
        """The literals with ``values`` between them, as they are."""
        return "".join(chain.from_iterable(zip_longest(self.literals, values, fillvalue="")))

    def values_of(self, part: str) -> tuple[str, ...] | None:
        """What this part was filled with, literals in either case; None where it was not."""
        pattern = "(.+?)".join(map(re.escape, self.literals))
        match = re.fullmatch(pattern, part, re.DOTALL | re.IGNORECASE)
        return match.groups() if match else None

    def _is_kept(self, plain: str, values: tuple[str, ...]) -> bool:
        return (
            safe_part(plain) == plain
            and all(len(value.encode()) <= MAX_NAME_BYTES for value in values)
            and len(plain.encode()) <= MAX_ENTRY_BYTES
            and not looks_like_replica(plain)
            and not (values and is_marked(plain))
            and self._taken_apart(plain) == values
        )

    def _taken_apart(self, plain: str) -> tuple[str, ...]:
        # With shortest values first this never goes back: where a literal is found at its first
        # place, the rest of the text has at least as much room as in any other reading.
        pattern = "(.+?)".join(map(re.escape, self.literals))
        match = re.fullmatch(pattern, plain, re.DOTALL)
        return match.groups() if match else ()


def _literal_mistakes(part: str, literal: str, literals: list[str]) -> Iterator[str]:
    shown = quoted(part)
    if not part:
        yield "It has an empty part: no slash at either end, and no two in a row."
    elif part.startswith("."):
        yield f"The part {shown} begins with a dot."
    if part != part.strip(" "):
        yield f"The part {shown} has a space at its beginning or end."
    if any(sign in literal for sign in "${}"):
        yield f"The part {shown} has a $, {{ or }} outside of a whole ${{HEADER-NAME}}."
    strange = [sign for sign in dict.fromkeys(literal) if not _is_literal(sign)]
    if strange:
        yield (
            f"The part {shown} has {' '.join(map(ascii, strange))}; only letters, digits, "
            "spaces and . _ - + @ are allowed."
        )
    if any(map(looks_like_replica, literals)):
        yield f"The part {shown} looks like the name of a replica."
    if len(literal.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        yield f"The part {shown} has more than {MAX_NAME_BYTES} bytes beside its headers."


def _is_literal(sign: str) -> bool:
    # A stray sign of a token has a sentence of its own.
    return (
        sign in _LITERAL_SIGNS
        or sign in "${}"
        or unicodedata.category(sign).startswith(_LITERAL_CATEGORIES)
    )


def _one_text(values: tuple[str, ...]) -> str:
    # Lengths in front of all but the last, so that no two lists of values read alike.
    return "".join(f"{len(value)}:{value}" for value in values[:-1]) + "".join(values[-1:])


def quoted(text: str) -> str:
    """A text from outside as a sentence may hold it: quoted, and not all of a long one."""
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")
