"""Refusing what other sites have a browser send to us.

Browsers say from where a request comes (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/; on
plain HTTP only ``Origin``); programs such as curl say neither and are not bothered.
"""

from __future__ import annotations

from collections.abc import Callable

from httpbucket.domain.errors import CrossSite
from httpbucket.web.addresses import Addresses
from httpbucket.web.current import current_request

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def refuser(addresses: Addresses) -> Callable[[], None]:
    """What is called before each request; it raises `CrossSite`."""

    def refuse_other_sites() -> None:
        asked = current_request()
        if asked.method not in _SAFE_METHODS and not _is_ours(addresses):
            raise CrossSite("A page of another site sent this; uploads come from our own pages.")

    return refuse_other_sites


def _is_ours(addresses: Addresses) -> bool:
    asked = current_request()
    site = asked.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = asked.headers.get("Origin")
    return origin is None or addresses.is_ours(origin)
