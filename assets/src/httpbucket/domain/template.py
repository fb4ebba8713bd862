"""Templates say under which directories content also appears: ``user/${USERNAME}/${TOPIC}``.

A template is parsed once, at start, and filled for each request with the values of its headers.
What it is filled with comes from outside; what comes out is safe to create, part by part.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Self

from httpbucket.domain.filename import MAX_NAME_BYTES, front, is_marked, mark, safe_part
from httpbucket.domain.replica import MAX_ENTRY_BYTES, looks_like_replica, without_dots

MAX_TEMPLATE_BYTES = 1024
MAX_PARTS = 32
#: Longest directory that a template may come to. With the store's own path, a replica's name and
#: a tree's longest path (1024 bytes) it stays within Linux's PATH_MAX of 4096.
MAX_DIRECTORY_BYTES = 2560

_TOKEN = re.compile(r"\$\{([^${}]*)\}")
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_LITERAL_SIGNS = set("._-+@ ")
_LITERAL_CATEGORIES = ("L", "M", "Nd")
_MARK_BYTES = 17
_LONGEST_SHOWN = 80

_CONNECTION = "is about the connection, not about the content (RFC 9110, 7.6.1)"
_CREDENTIAL = "carries a secret, which must not become a path"
_NEGOTIATION = "is set by clients and proxies on their own, not by the producer of a file"
_CONTENT = "describes the body on its way, not where it belongs"
_REFUSED_NAMES = {
    _CONNECTION: "connection expect host http2-settings keep-alive max-forwards proxy-connection "
    "te trailer transfer-encoding upgrade",
    _CREDENTIAL: "authentication-info dpop proxy-authenticate proxy-authentication-info "
    "www-authenticate",
    _NEGOTIATION: "cache-control forwarded origin pragma range referer via x-real-ip",
}
_REFUSED_STARTS = {
    _CONTENT: ("content-",),
    _NEGOTIATION: ("accept", "access-control-", "if-", "sec-", "x-forwarded-"),
}
_SECRET_WORDS = (
    "apikey authorization cookie cookie2 credential credentials csrf jwt passwd password secret "
    "token xsrf"
)
_SECRET_PAIRS = ("access-key", "api-key", "auth-key", "private-key")


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
        return f"The value {_shown(self.value)} of the header {self.header} became {self.part!r}."


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
            reason = _refusal(token)
            if reason:
                yield f"{_shown(f'${{{token}}}')} cannot be used: {reason}."

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


def _literal_mistakes(part: str, literal: str, literals: list[str]) -> Iterator[str]:
    shown = _shown(part)
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


def _refusal(token: str) -> str | None:
    name = token.lower()
    if "_" in name:
        return "gunicorn drops headers with an underscore in their name; write a hyphen"
    if not _HEADER.fullmatch(name):
        return "the name of a header has letters, digits and hyphens only"
    if not set(_SECRET_WORDS.split()).isdisjoint(name.split("-")) or any(
        pair in name for pair in _SECRET_PAIRS
    ):
        return f"this header {_CREDENTIAL}"
    named = (reason for reason, names in _REFUSED_NAMES.items() if name in names.split())
    begun = (reason for reason, starts in _REFUSED_STARTS.items() if name.startswith(starts))
    reason = next(chain(named, begun), None)
    return reason and f"this header {reason}"


def _one_text(values: tuple[str, ...]) -> str:
    # Lengths in front of all but the last, so that no two lists of values read alike.
    return "".join(f"{len(value)}:{value}" for value in values[:-1]) + "".join(values[-1:])


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")


def named_headers(templates: Iterable[ReplicaTemplate]) -> tuple[str, ...]:
    """The headers that any of the templates names, in lower case, in order, each once."""
    return tuple(dict.fromkeys(chain.from_iterable(one.headers for one in templates)))
