"""What somebody looks for among the uploads."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from httpbucket.domain.digest import Digest
from httpbucket.domain.upload import Record, UploadId

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class UploadFilter:
    """Which uploads are meant: those that fit everything that is given.

    ``name`` is a part of the uploaded file's name, in either case; ``contents`` are SHA-256s of
    which an upload holds one, itself or in its tree (None: whatever it holds); ``headers`` are
    values that its record keeps, by name in lower case; ``since`` is a moment in any zone.
    """

    name: str = ""
    contents: tuple[Digest, ...] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None

    @property
    def first_id(self) -> str:
        """No upload that is meant has an id before this one."""
        return str(UploadId.new(max(self.since, _BEGIN), 0)) if self.since else ""


def searched_name(text: str) -> str:
    """A name, or a part of one, as both are compared.

    >>> searched_name("Straße.XML")
    'strasse.xml'
    """
    return as_text(unicodedata.normalize("NFC", text).casefold())


def searched_headers(record: Record) -> dict[str, str]:
    """The headers of a record as they are compared."""
    return {name.lower(): as_text(value).strip() for name, value in record.headers.items()}


def as_text(text: str) -> str:
    """The text, with ``?`` for what was never Unicode."""
    return text.encode(errors="replace").decode()
