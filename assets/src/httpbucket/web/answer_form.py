"""In which form a client wants to be told what was kept."""

from __future__ import annotations

import functools
from enum import Enum
from typing import Self

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Request

from httpbucket.domain.errors import InvalidFormat


class AnswerForm(Enum):
    """What ``?format=`` may say; ``Accept`` says the same by media type."""

    JSON = "json"
    URL = "url"
    ENV = "env"

    @classmethod
    def wished(cls, request: Request) -> Self:
        """What the query says, or else ``Accept``. Raises `InvalidFormat`."""
        asked = request.args.get("format", "").strip().lower()
        if not asked:
            return cls(_accepted(request.headers.get("Accept", "")))
        try:
            return cls(asked)
        except ValueError:
            raise InvalidFormat(f"format is {asked[:40]!r}; expected json, url or env.") from None

    @classmethod
    def of_refusal(cls, request: Request) -> Self:
        """The same for a refusal, which may be about just that."""
        try:
            return cls.wished(request)
        except InvalidFormat:
            return cls("json")


@functools.lru_cache(maxsize=64)
def prefers_html(accept: str) -> bool:
    """Whether a browser asks for what can be a page: curl accepts everything alike."""
    accepted = parse_accept_header(accept, MIMEAccept)
    return accepted.quality("text/html") > accepted.quality("application/json")


# Most clients say one of a few things, and reading it costs as much as a digest.
@functools.lru_cache(maxsize=64)
def _accepted(accept: str) -> str:
    forms = {
        "application/json": "json",
        # A browser gets a page instead, and may well accept text alike.
        "text/html": "json",
        "text/plain": "url",
        "text/x-env": "env",
    }
    # The first of those that are accepted alike: clients that accept everything get JSON.
    accepted = parse_accept_header(accept, MIMEAccept)
    return forms[accepted.best_match([*forms], "application/json")]
