"""Believing what a proxy says of a request, if it is one of the operator's."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

from httpbucket.config import Network

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_FORWARDED = "HTTP_X_FORWARDED_"
_PROTO, _PREFIX = f"{_FORWARDED}PROTO", f"{_FORWARDED}PREFIX"
_PREFIX_SHAPE = re.compile(r"(/[\w.~@+-]+)+", re.ASCII)


class TrustedProxies:
    """Applies ``X-Forwarded-For``, ``-Proto``, ``-Host`` and ``-Prefix`` of trusted peers.

    Of all others these headers are removed, so that nothing behind can fall for them.
    """

    def __init__(self, app: WSGIApplication, networks: tuple[Network, ...]) -> None:
        self._app = app
        self._networks = networks

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._is_trusted(environ.get("REMOTE_ADDR", "")):
            for name in [name for name in environ if name.startswith(_FORWARDED)]:
                del environ[name]
            return self._app(environ, start_response)
        _remove_malformed(environ)
        hops = self._hops(environ.get(f"{_FORWARDED}FOR", ""))
        fixed = ProxyFix(self._app, x_for=hops, x_proto=1, x_host=1, x_prefix=1)
        return fixed(environ, start_response)

    def _hops(self, forwarded_for: str) -> int:
        """How many proxies of ours the request went through: each adds whom it was asked by."""
        addresses = [address.strip() for address in forwarded_for.split(",")]
        hops = 1
        while hops < len(addresses) and self._is_trusted(addresses[-hops]):
            hops += 1
        return hops

    def _is_trusted(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        # Of IPv4, where the server listens on IPv6 (RFC 4291, 2.5.5.2).
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return any(peer in network for network in self._networks)


def _remove_malformed(environ: WSGIEnvironment) -> None:
    """A proxy may pass on what a client wrote: what begins no link of ours does not count."""
    prefix = environ.get(_PREFIX, "").rpartition(",")[2].strip().rstrip("/")
    environ[_PREFIX] = prefix if _PREFIX_SHAPE.fullmatch(prefix) else ""
    scheme = environ.get(_PROTO, "").rpartition(",")[2].strip().lower()
    environ[_PROTO] = scheme if scheme in {"http", "https"} else ""
