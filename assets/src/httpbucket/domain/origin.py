"""Where pages come from: scheme, host and port (RFC 6454)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_AUTHORITY = re.compile(r"([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE)
_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)", re.IGNORECASE)
#: What a link and a line for a shell may hold as they stand.
_PATH = re.compile(r"(/[\w.~@+:%-]+)*/?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Authority:
    """A host and a port; None for a scheme's own port, which a proxy may change.

    >>> Authority.parse("Files.Example.:443"), Authority.parse("[::1]:5000")
    (Authority(host='files.example', port=None), Authority(host='[::1]', port=5000))
    """

    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what a ``Host`` field or a URL says. Raises ValueError."""
        match = _AUTHORITY.fullmatch(text)
        port = int(match[2] or 80) if match else 0
        if match is None or not 0 < port < 65536:
            raise ValueError(f"{text!r} is no host with or without a port")
        return cls(match[1].lower().rstrip("."), None if port in {80, 443} else port)


def authority(text: str) -> Authority | None:
    """What `Authority.parse` reads, or None."""
    try:
        return Authority.parse(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class WebAddress:
    """An ``http`` or ``https`` URL below which something is shown, without a slash at its end.

    >>> str(WebAddress.parse("HTTPS://ci.example.org:443/bucket/"))
    'https://ci.example.org/bucket'
    """

    scheme: str
    authority: Authority
    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL without user, query or fragment. Raises ValueError."""
        match = _URL.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no http or https URL without a ? or #")
        scheme, authority = match[1].lower(), Authority.parse(match[2])
        if not _PATH.fullmatch(match[3]):
            raise ValueError(f"{text!r} has a path that no link can begin with")
        if match[2].endswith(":443" if scheme == "http" else ":80"):
            raise ValueError(f"{text!r} has the port of the other scheme")
        return cls(scheme, authority, match[3].rstrip("/"))

    @classmethod
    def parse_origin(cls, text: str) -> Self:
        """Read a URL that ends with the host or the port. Raises ValueError.

        An address of IPv6 is refused, because a Content-Security-Policy cannot name it.
        """
        address = cls.parse(text)
        if address.path:
            raise ValueError(f"{text!r} has a path; an origin is a scheme, a host and a port")
        if address.authority.host.startswith("["):
            raise ValueError(f"{text!r} is an address of IPv6, which no page's policy can name")
        return address

    def __str__(self) -> str:
        port = f":{self.authority.port}" if self.authority.port else ""
        return f"{self.scheme}://{self.authority.host}{port}{self.path}"
