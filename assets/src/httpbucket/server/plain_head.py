"""A plain ``HEAD /checksum/<digest>`` as bytes: reading it, and writing what gunicorn would."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from gunicorn.http.wsgi import Response

from httpbucket.server.plain_fields import MOST_FIELDS, are_of_question
from httpbucket.server.tested_gunicorn import untested_version
from httpbucket.web.quick_head import MOST_REMEMBERED, HeadAnswer

#: The longest request that is looked at; gunicorn's own limits are above it.
MOST_BYTES = 4000

#: Requests up to here, which nearly all are, are read only once: what is asked for in one build is
#: asked for in the next, by the same client. All of them together are bounded.
_SHORT_BYTES = 512

_START = b"HEAD /checksum/"
_LINE = re.compile(rb"HEAD /checksum/([0-9A-Za-z:_-]{1,200}) HTTP/1\.1\r\n")

#: gunicorn's settings that must be as they are by default, or the usual way would do more.
_USUAL = (
    *("protocol", "proxy_protocol", "http2_cleartext", "secure_scheme_headers"),
    *("pre_request", "post_request", "logger_class", "statsd_host", "casefold_http_method"),
)


class PlainHead:
    """What is sent back to plain questions."""

    def __init__(
        self, answers: Callable[[Sequence[str]], Sequence[HeadAnswer | None]], cfg: Any
    ) -> None:
        self._answers = answers
        self._cfg = cfg
        self._second = 0
        # Few: the application has one answer for all that is known, and one for the rest.
        self._written: list[tuple[HeadAnswer, bytes]] = []

    def answers_to(self, requests: Sequence[bytes]) -> list[bytes | None]:
        """The whole answers; None for whatever is not exactly one plain, complete request."""
        digests = [_digest_in(request) for request in requests]
        if not any(digests):
            return [None] * len(requests)
        self._forget_old_dates()
        told = iter(self._answers([digest for digest in digests if digest]))
        return [self._bytes_of(next(told)) if digest else None for digest in digests]

    def _forget_old_dates(self) -> None:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._written.clear()

    def _bytes_of(self, answer: HeadAnswer | None) -> bytes | None:
        if answer is None:
            return None
        for one, written in self._written:
            if one is answer:
                return written
        written = write_head(answer, "HEAD", self._cfg)
        self._written.append((answer, written))
        return written


def _digest_in(request: bytes) -> str | None:
    """What a request asks for, if it is a plain question."""
    if not request.startswith(_START):
        return None
    return _read_short(request) if len(request) <= _SHORT_BYTES else _read(request)


def _read(request: bytes) -> str | None:
    line = _LINE.match(request)
    if line is None or not are_of_question(request[line.end() :]):
        return None
    return line[1].decode("ascii")


_read_short = functools.lru_cache(maxsize=MOST_REMEMBERED)(_read)


def why_not(cfg: Any) -> str | None:
    """Why plain questions cannot be answered apart under this configuration; None if they can."""
    if version := untested_version():
        return f"gunicorn {version} was not tested with it"
    if os.environ.get("SCRIPT_NAME"):
        return "SCRIPT_NAME is set"
    if cfg.is_ssl or not cfg.keepalive:
        return "gunicorn speaks TLS or keeps no connections"
    # Whoever reads these lines wants to see every request in them.
    if _logs_access(cfg) or cfg.loglevel.lower() == "debug":
        return "gunicorn logs every request"
    settings = cfg.settings
    # Without secure_scheme_headers gunicorn believes nobody, which changes no answer.
    unusual = [name for name in _USUAL if settings[name].get() not in (settings[name].default, {})]
    unusual += [name for name, least in _least_limits() if 0 < settings[name].get() < least]
    return f"gunicorn's {', '.join(unusual)} changed" if unusual else None


def _logs_access(cfg: Any) -> bool:
    return bool(
        cfg.accesslog or cfg.syslog or cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json
    )


def _least_limits() -> tuple[tuple[str, int], ...]:
    return (
        ("limit_request_line", MOST_BYTES),
        ("limit_request_field_size", MOST_BYTES),
        ("limit_request_fields", MOST_FIELDS),
    )


def write_head(answer: HeadAnswer, method: str, cfg: Any) -> bytes:
    """Let gunicorn write it, with the Date of now, for a connection that is kept."""
    written: list[bytes] = []
    request = SimpleNamespace(method=method, version=(1, 1), should_close=lambda: False)
    response = Response(request, SimpleNamespace(sendall=written.append), cfg)
    response.start_response(answer.status, list(answer.headers))
    response.close()
    return b"".join(written)
