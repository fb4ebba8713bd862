"""Where the server is reached from outside, and where pages link kept files."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from flask import Response
from werkzeug.exceptions import NotFound
from werkzeug.routing import RequestRedirect

from httpbucket.config import Settings
from httpbucket.domain.origin import Authority, authority
from httpbucket.web.current import current_request

#: What the origin of contents has beside nothing.
_CONTENT_ENDPOINTS = {"blobs.by_digest", "blobs.by_path", "shelves.archive", "shelves.replica"}


class Addresses:
    """The addresses that an operator gave the server: ``PUBLIC_URL`` and ``CONTENT_ORIGIN``."""

    def __init__(self, settings: Settings) -> None:
        self._public = settings.public_url
        self._contents = settings.content_origin

    @property
    def content_source(self) -> str:
        """The origin of contents as a policy names it, with a space in front; or nothing."""
        return f" {self._contents}" if self._contents else ""

    def absolute(self, path: str = "") -> str:
        """The URL of a quoted path of ours: below ``PUBLIC_URL``, or where the request came."""
        return f"{current_request().base}/{path}"

    def content(self, path: str = "") -> str:
        """What pages link a kept file by, given its path below the server."""
        return f"{self._contents or ''}{current_request().script_root}/{quote(path)}"

    def has_content_origin(self) -> bool:
        """Whether contents have an origin of their own, so that no relative link leads there."""
        return self._contents is not None

    def is_ours(self, origin: str) -> bool:
        """Whether an ``Origin`` is that of our pages, as far as the request can tell.

        The scheme does not count, because a proxy may have changed it. An origin that is nobody's
        (``null``) is never ours.
        """
        came_from = authority(origin.partition("://")[2])
        ours = {_asked_authority(), self._public.authority if self._public else None}
        return came_from is not None and came_from in ours

    def separate(self) -> None:
        """Called before each request: the origin of contents has nothing but files.

        Raises NotFound, and tells a request that may go on what it has to know.
        """
        asked = current_request()
        asked.public_url = str(self._public or "")
        if self._is_for_contents():
            asked.is_for_contents = True
            if asked.method not in {"GET", "HEAD"} or asked.endpoint not in _CONTENT_ENDPOINTS:
                raise NotFound

    def _is_for_contents(self) -> bool:
        """By host and port; by the host alone, where that of our pages is another one.

        Some proxies pass a host on without its port.
        """
        asked, contents = _asked_authority(), self._contents
        if contents is None or asked is None or asked.host != contents.authority.host:
            return False
        names_differ = self._public and self._public.authority.host != asked.host
        return bool(names_differ) or asked.port == contents.authority.port


def stay_here(response: Response) -> Response:
    """Take the host out of the router's redirects, because a request may name any."""
    if isinstance(current_request().routing_exception, RequestRedirect) and response.location:
        location = urlsplit(response.location)
        query = f"?{location.query}" if location.query else ""
        response.headers["Location"] = f"/{location.path.lstrip('/')}{query}"
        response.set_data(b"")
    return response


def _asked_authority() -> Authority | None:
    return authority(current_request().headers.get("Host", ""))
