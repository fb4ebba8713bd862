"""Refusing what other sites have a browser send to us.

Browsers say from where a request comes (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/; on
plain HTTP only ``Origin``); programs such as curl say neither and are not bothered.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from httpbucket.domain.errors import CrossSite
from httpbucket.web.current import current_request

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def refuse_other_sites() -> None:
    """Called before each request. Raises `CrossSite`."""
    asked = current_request()
    if asked.method in _SAFE_METHODS:
        return
    site = asked.headers.get("Sec-Fetch-Site")
    origin = asked.headers.get("Origin")
    if site is not None:
        is_ours = site in {"same-origin", "none"}
    else:
        is_ours = origin is None or _host(origin) == _host(f"//{asked.host}")
    if not is_ours:
        raise CrossSite("A page of another site sent this; uploads come from our own pages.")


def _host(url: str) -> tuple[str | None, int | None]:
    """Host and port; the port is None where it is the scheme's own, which proxies may change."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None, None
    return parts.hostname, None if port in {80, 443} else port
