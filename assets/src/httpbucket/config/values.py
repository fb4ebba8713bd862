"""What the texts of variables mean. Each function raises ValueError with one sentence or more."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import urlsplit

from httpbucket.domain.digest import algorithm_name
from httpbucket.domain.size import parse_size

_MOST_DEPTH = 256

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def root(text: str) -> Path:
    """An absolute path, so that it does not depend on where the program was started."""
    path = Path(text)
    if not path.is_absolute() or ".." in path.parts or "\0" in text:
        raise ValueError(f"{text!r} is not an absolute path without '..'")
    return path


def location(text: str) -> str:
    """An absolute URL or directory, below which paths are added."""
    url = urlsplit(text)
    if url.query or url.fragment:
        raise ValueError(f"{text!r} has a ? or #, behind which no path can be added")
    if "@" in url.netloc:
        raise ValueError("a user or password in it would be shown in every receipt")
    # Reading the port raises ValueError for one that is none.
    absolute = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    local = (url.scheme == "file" or not url.scheme) and url.path.startswith("/")
    if not (absolute or local):
        raise ValueError(
            f"{text!r} is neither an http, https or file URL nor an absolute directory"
        )
    return text.rstrip("/")


def algorithm(text: str) -> str:
    """A digest algorithm that every receipt can name."""
    algorithm = algorithm_name(text)
    if algorithm is None:
        raise ValueError(
            f"{text!r} is no digest algorithm of a fixed length; "
            "choose for example md5, sha1, sha256 or sha512"
        )
    return algorithm


def algorithms(text: str) -> tuple[str, ...]:
    """Several of them, between commas or spaces."""
    return tuple(algorithm(name) for name in re.split(r"[,\s]+", text) if name)


def size(text: str) -> int:
    """Bytes, more than none."""
    size = parse_size(text)
    if size == 0:
        raise ValueError("0 would refuse everything; write a size above it")
    return size


def count(text: str) -> int:
    """A whole number, more than none."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise ValueError(f"{text!r} is not a whole number above 0")
    return int(text)


def depth(text: str) -> int:
    """How many directories may lie within each other: no more than can be removed again.

    The standard library takes a level of the stack for each, of a thousand.
    """
    if (depth := count(text)) > _MOST_DEPTH:
        raise ValueError(f"{text} is deeper than the {_MOST_DEPTH} directories that can be removed")
    return depth


def whole(text: str) -> int:
    """A whole number; 0 is one."""
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def interval(text: str) -> int:
    """A time after which something is done again; 0 or ``off`` for never."""
    return 0 if text.lower() == "off" else whole(text)


def ports(text: str) -> tuple[int, ...]:
    """One port or several, between commas."""
    ports = tuple(port(part) for part in text.split(","))
    if len(set(ports)) != len(ports):
        raise ValueError(f"{text!r} names a port twice")
    return ports


def port(text: str) -> int:
    """A port of TCP; 0 for one that the system chooses."""
    if not re.fullmatch(r"\s*[0-9]{1,5}\s*", text) or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port from 0 to 65535, or several with commas")
    return int(text)


def host(text: str) -> str:
    """A name or an address, in brackets or not."""
    name = text.strip("[]")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name):
            return name
    raise ValueError(f"{text!r} is neither an address nor a host name")


def switch(text: str) -> bool:
    """Whether something is on."""
    switches = {"on": True, "1": True, "true": True, "yes": True}
    switches |= {"off": False, "0": False, "false": False, "no": False}
    if text.lower() not in switches:
        raise ValueError(f"{text!r} is neither on nor off")
    return switches[text.lower()]


def suffixes(text: str) -> tuple[str, ...]:
    """Filename suffixes, in lower case."""
    suffixes = tuple(part.lower() for part in re.split(r"[,\s]+", text) if part)
    strange = [part for part in suffixes if not re.fullmatch(r"(\.[^./\s]+)+", part)]
    if strange:
        raise ValueError(f"{strange[0]!r} is not a filename suffix such as .jar")
    return suffixes


def networks(text: str) -> tuple[Network, ...]:
    """Networks or single addresses, of IPv4 and of IPv6."""
    return tuple(ipaddress.ip_network(part) for part in re.split(r"[,\s]+", text) if part)


def environment(text: str) -> bool:
    """Whether the code is being worked on (Flask's ``FLASK_ENV``)."""
    if text.lower() not in {"development", "production"}:
        raise ValueError(f"{text!r} is neither development nor production")
    return text.lower() == "development"
