"""Who may do what: the one check, before each request."""

from __future__ import annotations

from collections.abc import Callable, Collection

from flask import Flask

from httpbucket.domain.ability import ABILITIES, Ability
from httpbucket.domain.errors import NotAllowed
from httpbucket.web.current import current_request

#: What a request does, by its method, unless its endpoint is in `_BY_ENDPOINT`.
_BY_METHOD: dict[str, Ability] = {
    "GET": "read",
    "HEAD": "read",
    "OPTIONS": "read",
    "POST": "upload",
    "PUT": "upload",
    "PATCH": "upload",
    "DELETE": "delete",
}

#: None is open to all: a sign of life, what pages need, and what a signed address allows.
_BY_ENDPOINT: dict[str, Ability | None] = {
    "static": None,
    "server.ping": None,
    "deletions.undo": None,
    "deletions.keep": "delete",
    "checksums.missing": "read",
    "tus.options": None,
    "tus.look": "upload",
    "tus.terminate": "upload",
}


def register(app: Flask, anonymous: Collection[Ability]) -> None:
    """Refuse what unnamed clients may not do."""
    app.before_request(_check(anonymous))


def _check(anonymous: Collection[Ability]) -> Callable[[], None]:
    def check() -> None:
        """Raises `NotAllowed`."""
        asked = current_request()
        if asked.endpoint is None:
            # There is nothing at this address, which is told to everybody.
            return
        ability = _BY_ENDPOINT.get(asked.endpoint, _BY_METHOD.get(asked.method, "delete"))
        if ability is not None and ability not in anonymous:
            opened = ",".join(one for one in ABILITIES if one in anonymous or one == ability)
            raise NotAllowed(
                f"Clients without a name may not {ability} here; the operator opens that with "
                f"ANONYMOUS={opened}."
            )

    return check
