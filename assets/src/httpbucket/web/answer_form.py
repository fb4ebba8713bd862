"""In which form a client wants to be told what was kept."""

from __future__ import annotations

from enum import Enum
from typing import Self

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
            return cls(_accepted(request))
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


def _accepted(request: Request) -> str:
    forms = {
        "application/json": "json",
        # A browser gets a page instead, and may well accept text alike.
        "text/html": "json",
        "text/plain": "url",
        "text/x-env": "env",
    }
    # The first of those that are accepted alike: clients that accept everything get JSON.
    return forms[request.accept_mimetypes.best_match([*forms], "application/json")]
