"""Which request headers a template may name: those that say something of the content."""

from __future__ import annotations

import re
from itertools import chain

_HEADER = re.compile(r"[A-Za-z0-9-]+")

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


def refusal(token: str) -> str | None:
    """Why a template cannot name this header; None if it can."""
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
