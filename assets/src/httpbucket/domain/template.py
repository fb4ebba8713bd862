"""Templates say under which directories content also appears: ``user/${USERNAME}/${TOPIC}``.

A template is parsed once, at start, and filled for each request with the values of its headers.
What it is filled with comes from outside; what comes out is safe to create, part by part.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Self

from httpbucket.domain.filename import MAX_NAME_BYTES
from httpbucket.domain.template_part import TemplatePart, quoted

MAX_TEMPLATE_BYTES = 1024
MAX_PARTS = 32
#: Longest directory that a template may come to. With the store's own path, a replica's name and
#: a tree's longest path (1024 bytes) it stays within Linux's PATH_MAX of 4096.
MAX_DIRECTORY_BYTES = 2560


class InvalidTemplate(ValueError):
    """A template holds mistakes; ``mistakes`` has a sentence for each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True)
class ChangedValue:
    """A header's value that could not be kept as it came, and the part that it led to."""

    header: str
    value: str
    part: str

    def __str__(self) -> str:
        return f"The value {quoted(self.value)} of the header {self.header} became {self.part!r}."


@dataclass(frozen=True, slots=True)
class Filled:
    """The directory that a template comes to: safe parts, relative to ``replica/``."""

    parts: tuple[str, ...]
    changed: tuple[ChangedValue, ...] = ()

    @property
    def directory(self) -> str:
        """The parts joined by ``/``."""
        return "/".join(self.parts)


@dataclass(frozen=True, slots=True)
class PartlyFilled:
    """Some of a template's headers came and others did not; ``template`` as it was written."""

    template: str
    present: tuple[str, ...]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"No replica under {self.template}: the request has {_listed(self.present)} "
            f"but not {_listed(self.missing)}."
        )


@dataclass(frozen=True, slots=True)
class ReplicaTemplate:
    """Parts of a path with header names in them, as operators write it in ``REPLICATE_0``.

    >>> template = ReplicaTemplate.parse("user/${USERNAME}/build-${BUILD-ID}")
    >>> str(template), template.headers
    ('user/${USERNAME}/build-${BUILD-ID}', ('username', 'build-id'))
    """

    parts: tuple[TemplatePart, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``text``. Raises `InvalidTemplate` with every mistake that is in it.

        Literals may hold letters and digits of any script, ``.``, ``_``, ``-``, ``+``, ``@`` and,
        within a part, space; tokens name request headers, in either case.
        """
        template = cls(tuple(map(TemplatePart.parse, text.split("/"))))
        mistakes = [*template._mistakes()]
        if mistakes:
            raise InvalidTemplate([*dict.fromkeys(mistakes)])
        return template

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that a request must carry, in lower case, in order, each once."""
        return tuple(dict.fromkeys(chain.from_iterable(part.headers for part in self.parts)))

    def fill(self, values: Mapping[str, str]) -> Filled | PartlyFilled | None:
        """The directory for a request's headers; None when it has none of this template's.

        ``values`` has lower-case header names. White space around a value is not part of it (RFC
        9110, 5.5), and a value of nothing else counts as missing. Unicode stays, in NFC; case
        stays, so that ``Bob`` and ``bob`` are two directories where the file system has two.

        >>> template = ReplicaTemplate.parse("user/${USERNAME}/${TOPIC}")
        >>> template.fill({"username": "bob", "topic": "demo"}).directory
        'user/bob/demo'
        >>> template.fill({"username": "bob", "topic": "../x"}).parts
        ('user', 'bob', '_.._x~d6b96a97d147daaa')
        >>> print(template.fill({"username": "bob", "topic": " "}))
        No replica under user/${USERNAME}/${TOPIC}: the request has username but not topic.
        """
        given = {name: values.get(name, "").strip(" \t") for name in self.headers}
        present = tuple(name for name, value in given.items() if value.strip())
        if not present:
            return None
        if len(present) < len(given):
            missing = tuple(name for name in given if name not in present)
            return PartlyFilled(str(self), present, missing)
        return self._filled(given)

    def values_of(self, directory: str) -> dict[str, str] | None:
        """The headers that lead to a directory, literals in either case; None where none do.

        >>> ReplicaTemplate.parse("user/${USERNAME}").values_of("USER/bob")
        {'username': 'bob'}
        """
        parts = directory.split("/")
        if len(parts) != len(self.parts):
            return None
        values: dict[str, str] = {}
        for part, text in zip(self.parts, parts, strict=True):
            read = part.values_of(text)
            if read is None:
                return None
            values |= zip(part.headers, read, strict=True)
        filled = self.fill(values)
        is_same = isinstance(filled, Filled) and filled.directory.lower() == directory.lower()
        return values if is_same else None

    def __str__(self) -> str:
        return "/".join(map(str, self.parts))

    def _filled(self, given: Mapping[str, str]) -> Filled:
        kept = {name: unicodedata.normalize("NFC", value) for name, value in given.items()}
        parts, changed = [], []
        for part in self.parts:
            values = tuple(kept[name] for name in part.headers)
            filled = part.fill(values)
            parts.append(filled)
            changed += [
                ChangedValue(name, given[name], filled)
                for name in dict.fromkeys(part.headers)
                if given[name] != kept[name] or filled != part.joined(values)
            ]
        return Filled(tuple(parts), tuple(changed))

    def _mistakes(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.mistakes()
        if not self.headers:
            yield "It names no header; expected at least one, for example user/${USERNAME}."
        if len(str(self).encode("utf-8", "surrogatepass")) > MAX_TEMPLATE_BYTES:
            yield f"It is longer than {MAX_TEMPLATE_BYTES} bytes."
        if len(self.parts) > MAX_PARTS:
            yield f"It has {len(self.parts)} parts; at most {MAX_PARTS} are allowed."
        longest = sum(part.longest + 1 for part in self.parts)
        if longest > MAX_DIRECTORY_BYTES:
            yield (
                f"It can come to a path of {longest} bytes (a value takes up to {MAX_NAME_BYTES}); "
                f"at most {MAX_DIRECTORY_BYTES} are allowed."
            )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def named_headers(templates: Iterable[ReplicaTemplate]) -> tuple[str, ...]:
    """The headers that any of the templates names, in lower case, in order, each once."""
    return tuple(dict.fromkeys(chain.from_iterable(one.headers for one in templates)))
