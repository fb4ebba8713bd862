"""Header fields of a request that may be answered apart: those whose meaning is known here."""

from __future__ import annotations

import functools
import re

#: A host's name; Flask refuses labels that are empty, or of more than 63 bytes.
HOST_NAME = rb"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*\.?"

# Says nothing of the connection but that it is kept, and nothing of a body.
_ALWAYS = (
    rb"""
      Host (?= :[ ]?(?:%b|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$)
    | Connection (?= :[ ]?keep-alive$)
    | Accept | Accept-Charset | Accept-Encoding | Accept-Language | User-Agent | Cache-Control
    | Pragma | Referer
"""
    % HOST_NAME
)

# What a proxy says. Whether it counts depends on who sent it.
_OF_PROXIES = rb"""
      X-Forwarded-Proto (?= :[ ]?https?$)
    | Via | Forwarded | X-Forwarded-For | X-Forwarded-Host | X-Forwarded-Port | X-Real-IP
"""

# Different in every request, so that no download with one is worth being remembered.
_OF_TRACES = rb"""
      X-Request-ID | Traceparent | Tracestate
"""

# What decides on the answer to a download, by nothing but its text.
_OF_DOWNLOADS = rb"""
      Range | If-Range | If-None-Match | If-Match | If-Modified-Since | If-Unmodified-Since
    | Sec-Fetch-Dest | Sec-Fetch-Mode | Sec-Fetch-Site | Sec-Fetch-User
    | Sec-CH-UA | Sec-CH-UA-Mobile | Sec-CH-UA-Platform
    | Upgrade-Insecure-Requests | DNT | Sec-GPC | Priority
"""


def _any_of(*names: bytes) -> re.Pattern[bytes]:
    pattern = rb"(?P<name>" + b"|".join(names) + rb"):[\t\x20-\x7e\x80-\xff]*"
    return re.compile(pattern, re.VERBOSE | re.IGNORECASE)


_QUESTION = _any_of(_ALWAYS, _OF_PROXIES, _OF_TRACES)
_DOWNLOAD = _any_of(_ALWAYS, _OF_PROXIES, _OF_DOWNLOADS)
_PROXY = _any_of(_OF_PROXIES)

#: As each comes once, no plain request has more.
MOST_FIELDS = 1 + max(one.pattern.count(b"|") for one in (_QUESTION, _DOWNLOAD))


# Clients say the same in every request; bounded, because they need not.
@functools.lru_cache(maxsize=256)
def are_of_question(fields: bytes) -> bool:
    """Whether these, up to the empty line, change nothing of the answer to a question."""
    return _are_all(_QUESTION, fields)


@functools.lru_cache(maxsize=256)
def are_of_download(fields: bytes) -> bool:
    """Whether these are a whole request's, whose answer depends on their text and who sent it."""
    return _are_all(_DOWNLOAD, fields)


@functools.lru_cache(maxsize=256)
def have_proxies(fields: bytes) -> bool:
    """Whether some of these are what proxies say."""
    return any(_PROXY.fullmatch(line) for line in fields.split(b"\r\n"))


def _are_all(allowed: re.Pattern[bytes], fields: bytes) -> bool:
    if not fields.endswith(b"\r\n\r\n"):
        return False
    lines = [allowed.fullmatch(line) for line in fields[:-4].split(b"\r\n")]
    names = [line["name"].lower() for line in lines if line]
    is_each_once = len(set(names)) == len(lines)
    return is_each_once and b"host" in names
