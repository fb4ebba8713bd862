"""A plain upload of one small file as bytes: reading the request, and writing the answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from httpbucket.server.plain_fields import HOST_NAME, MOST_FIELDS
from httpbucket.server.plain_head import MOST_BYTES as MOST_HEAD_BYTES
from httpbucket.server.plain_head import write_head
from httpbucket.web.quick_head import HeadAnswer
from httpbucket.web.quick_upload import PlainUpload, UploadAnswer

#: The longest body that is taken: what waits in memory anyway.
MOST_BODY_BYTES = 64 * 1024

#: The longest request, for who reads one.
MOST_BYTES = MOST_HEAD_BYTES + MOST_BODY_BYTES

# Names that need no quoting, no cutting and no look at what they may lead to.
_NAME = rb"[A-Za-z0-9_-][A-Za-z0-9._-]{0,149}"
_LINE = re.compile(rb"(?:PUT /upload/(%b)|POST /upload) HTTP/1\.1\r\n" % _NAME)
_FIELD = re.compile(rb"([A-Za-z0-9-]+):[ \t]*([\x20-\x7e]*)")
_END = b"\r\n\r\n"

# As receipts show it. The last ports of five digits are hard to tell from numbers that are none.
_PORT = rb"(?!80$|443$)[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}"
_HOST = re.compile(rb"%b(?::(?:%b))?" % (HOST_NAME, _PORT))
_LENGTH = re.compile(rb"[1-9][0-9]{0,5}")
#: Of a form, how its file begins and ends.
_FORM = re.compile(rb"multipart/form-data; ?boundary=([A-Za-z0-9_-]{1,70})")
_FILE = re.compile(
    rb'Content-Disposition: form-data; name="file"; filename="(%b)"\r\n'
    rb"(?:Content-Type: [\x20-\x7e]*\r\n)?\r\n" % _NAME
)

#: What says nothing of a file that comes by itself.
_OF_FILE = re.compile(rb"(?!multipart/)[a-z0-9.+-]+/[a-z0-9.+-]+(?:; ?charset=[A-Za-z0-9-]+)?")
_SILENT = {
    *(b"user-agent", b"accept-encoding", b"accept-language", b"accept-charset"),
    *(b"cache-control", b"pragma"),
}
#: What says nothing, when it says just this.
_USUAL = {b"connection": {b"keep-alive"}, b"accept": {b"*/*", b"application/json"}}

# What decides how a file is treated; a template may name it all the same.
_MEANT_OTHERWISE = re.compile(
    r"unpack|tree|retention-days|idempotency-key|checksum|digest|repr-digest|x-checksum-.*"
)


@dataclass(frozen=True, slots=True)
class UploadHead:
    """What a request says before its body.

    ``size`` and ``length`` are the bytes of the head and of the body; ``boundary`` is that of a
    form, whose part has the filename, and empty where the body is the file.
    """

    size: int
    length: int
    host: str
    filename: str
    boundary: bytes
    headers: dict[str, str]


class PlainUploads:
    """Reads plain uploads, has them kept, and writes what gunicorn would.

    ``wanted`` are the headers, in lower case, that are handed on. A body of more than
    ``most_body_bytes``, or than `MOST_BODY_BYTES`, is not plain.
    """

    def __init__(
        self,
        keep: Callable[[PlainUpload], UploadAnswer],
        cfg: Any,
        *,
        wanted: Collection[str] = (),
        most_body_bytes: int = MOST_BODY_BYTES,
    ) -> None:
        self._keep = keep
        self._cfg = cfg
        self._wanted = tuple(wanted)
        self._most_body_bytes = min(most_body_bytes, MOST_BODY_BYTES)
        self._written: tuple[int, dict[HeadAnswer, bytes]] = (0, {})

    def head_of(self, start: bytes) -> UploadHead | None:
        """What a request says that begins so; None unless all of its head is there, and plain."""
        line = _LINE.match(start)
        end = start.find(_END, 0, MOST_HEAD_BYTES) if line else -1
        if line is None or end < line.end():
            return None
        fields = _fields(start[line.end() : end])
        return None if fields is None else self._read(end + len(_END), line[1], fields)

    def answer_to(self, head: UploadHead, body: bytes, is_gone: Callable[[], bool]) -> bytes | None:
        """Keep the file of a whole ``body``; None, and nothing is kept, if it is not plain."""
        filename, content = head.filename, body
        if head.boundary:
            part = _only_file(body, head.boundary)
            if part is None:
                return None
            filename, content = part
        answer = self._keep(PlainUpload(head.host, filename, content, head.headers, is_gone))
        return self._head_bytes(answer.head) + answer.body

    def _read(self, size: int, name: bytes | None, fields: dict[bytes, bytes]) -> UploadHead | None:
        host = _HOST.fullmatch(fields.pop(b"host", b""))
        length = _LENGTH.fullmatch(fields.pop(b"content-length", b""))
        kind = fields.pop(b"content-type", b"")
        form = _FORM.fullmatch(kind) if name is None else None
        is_known = form or (name and (not kind or _OF_FILE.fullmatch(kind)))
        if not host or not length or not is_known or int(length[0]) > self._most_body_bytes:
            return None
        headers = self._headers(fields)
        if headers is None:
            return None
        return UploadHead(
            size,
            int(length[0]),
            host[0].decode(),
            name.decode() if name else "",
            form[1] if form else b"",
            headers,
        )

    def _headers(self, fields: dict[bytes, bytes]) -> dict[str, str] | None:
        """What is to be handed on; None when anything else is said that may matter."""
        said: dict[str, str] = {}
        for name, value in fields.items():
            key = name.decode()
            if key in self._wanted or key.startswith("meta-"):
                said[key] = value.decode()
            elif name not in _SILENT and value not in _USUAL.get(name, ()):
                return None
        first = {key: said.pop(key) for key in self._wanted if key in said} if said else said
        return {key: value for key, value in (first | said).items() if value}

    def _head_bytes(self, head: HeadAnswer) -> bytes:
        second = int(time.time())
        if second != self._written[0]:
            self._written = (second, {})
        written = self._written[1]
        if head not in written:
            written[head] = write_head(head, "PUT", self._cfg)
        return written[head]


def _fields(lines: bytes) -> dict[bytes, bytes] | None:
    """The fields by name in lower case; None if one comes twice, or is not as most are."""
    fields = [_FIELD.fullmatch(line) for line in lines.split(b"\r\n")]
    named = {field[1].lower(): field[2].rstrip() for field in fields if field}
    return named if len(named) == len(fields) <= MOST_FIELDS else None


def _only_file(body: bytes, boundary: bytes) -> tuple[str, bytes] | None:
    """The name and the content of a form's file, where the form is nothing else (RFC 7578)."""
    delimiter = b"--" + boundary
    end = b"\r\n" + delimiter + b"--\r\n"
    if not body.startswith(delimiter + b"\r\n") or not body.endswith(end):
        return None
    part = _FILE.match(body, len(delimiter) + 2)
    # Also what only looks like a boundary is left to who knows all of them.
    if part is None or body.find(delimiter, part.end()) != len(body) - len(end) + 2:
        return None
    content = body[part.end() : -len(end)]
    return (part[1].decode(), content) if content else None


def why_not_headers(wanted: Collection[str]) -> str | None:
    """Why uploads cannot be read here when templates name these headers; None if they can."""
    meant = sorted(name for name in wanted if _MEANT_OTHERWISE.fullmatch(name))
    return f"templates name {', '.join(meant)}" if meant else None
