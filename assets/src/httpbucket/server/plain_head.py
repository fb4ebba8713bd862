"""A plain ``HEAD /checksum/<digest>`` as bytes: reading it, and writing what gunicorn would."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from gunicorn.http.wsgi import Response

from httpbucket.server.plain_fields import MOST_FIELDS, are_of_question
from httpbucket.server.tested_gunicorn import untested_version
from httpbucket.web.quick_head import HeadAnswer

#: The longest request that is looked at; gunicorn's own limits are above it.
MOST_BYTES = 4000

_LINE = re.compile(rb"HEAD /checksum/([0-9A-Za-z:_-]{1,200}) HTTP/1\.1\r\n")

#: gunicorn's settings that must be as they are by default, or the usual way would do more.
_USUAL = (
    *("protocol", "proxy_protocol", "http2_cleartext", "secure_scheme_headers"),
    *("pre_request", "post_request", "logger_class", "statsd_host", "casefold_http_method"),
)


class PlainHead:
    """What is sent back to a plain question."""

    def __init__(self, answer: Callable[[str], HeadAnswer | None], cfg: Any) -> None:
        self._answer = answer
        self._cfg = cfg
        self._second = 0
        self._written: dict[HeadAnswer, bytes] = {}

    def answer_to(self, request: bytes) -> bytes | None:
        """The whole answer; None for whatever is not exactly one plain, complete request."""
        line = _LINE.match(request)
        if line is None or not are_of_question(request[line.end() :]):
            return None
        answer = self._answer(line[1].decode("ascii"))
        return None if answer is None else self._bytes_of(answer)

    def _bytes_of(self, answer: HeadAnswer) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._written.clear()
        written = self._written.get(answer)
        if written is None:
            written = self._written[answer] = write_head(answer, "HEAD", self._cfg)
        return written


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
