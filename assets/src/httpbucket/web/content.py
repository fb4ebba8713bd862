"""Sending a kept file: what is asked for of it, and headers that tame what others uploaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from flask import Response
from werkzeug.wsgi import wrap_file

from httpbucket.domain.blob import Descriptor
from httpbucket.services.see_again import Seen
from httpbucket.web.conditions import Representation, Selection, select
from httpbucket.web.current import current_request
from httpbucket.web.disposition import name_it
from httpbucket.web.policies import CONTENT_POLICY
from httpbucket.web.presenters import instance_digest, repr_digest
from httpbucket.web.sent import TELL_SENT, Sent

#: A blob never changes under its name (RFC 8246).
IMMUTABLE = "public, max-age=31536000, immutable"
#: What a name shows may change: ask before showing a copy.
REVALIDATE = "no-cache"

_PIECE = 256 * 1024

#: Up to here bytes are read and sent at once: ``sendfile(2)`` takes less work a byte, but waiting
#: for the connection before it costs more than these are worth.
SMALL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """What is sent, and what is said of it. ``blob`` is None where its digests are not known."""

    representation: Representation
    filename: str
    media_type: str
    cache: str
    blob: Descriptor | None = None
    coding: str = ""


def blob_content(blob: Descriptor, filename: str) -> Content:
    """A blob under the one address that it has for ever."""
    known = Representation(blob.size, blob.sha256.hex)
    return Content(known, filename, blob.media_type, IMMUTABLE, blob)


@dataclass(frozen=True)
class ContentSender:
    """Answers with the bytes of kept files. ``cors`` lets pages of any origin read them.

    An uploaded report runs in an origin that is nobody's, and so needs it to read its own files.
    """

    cors: bool

    def send(
        self,
        content: Content,
        open_content: Callable[[], BinaryIO],
        see: Callable[[], Seen | None],
    ) -> Response:
        """Answer with the bytes, or with 304, 206, 412 or 416 as the request asks."""
        response = Response(mimetype=content.media_type)
        selection = select(content.representation, response)
        self._describe(content, response)
        length = _length(selection) if current_request().method != "HEAD" else 0
        if length:
            _put(open_content(), selection, content.representation.size, response)
        if length <= SMALL_BYTES:
            _tell(see, selection.start, selection.start + length)
        return response

    def _describe(self, content: Content, response: Response) -> None:
        # None of them is there yet; to set one, Werkzeug would look through all others.
        response.headers.add("Cache-Control", content.cache)
        response.headers.add("Content-Security-Policy", CONTENT_POLICY)
        name_it(response, "inline", content.filename)
        if content.blob:
            response.headers.add("Repr-Digest", repr_digest(content.blob))
            response.headers.add("Digest", instance_digest(content.blob))
        if content.coding:
            response.headers["Content-Encoding"] = content.coding
        if self.cors:
            response.headers["Access-Control-Allow-Origin"] = "*"


class _Part:
    """The front of what is left of a file. gunicorn's sendfile takes no more than the length."""

    def __init__(self, reader: BinaryIO, size: int) -> None:
        self._left = size
        self.fileno = reader.fileno
        self.seek = reader.seek
        self.close = reader.close
        self._read = reader.read

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size``."""
        piece = self._read(self._left if size < 0 else min(size, self._left))
        self._left -= len(piece)
        return piece


def _tell(see: Callable[[], Seen | None], start: int, stop: int) -> None:
    tell = current_request().environ.get(TELL_SENT)
    if tell is not None and (seen := see()):
        tell(Sent(seen, start, stop))


def _put(reader: BinaryIO, selection: Selection, size: int, response: Response) -> None:
    reader.seek(selection.start)
    if _length(selection) > SMALL_BYTES:
        response.response = _wrapped(reader, selection, size)
        response.direct_passthrough = True
        return
    with reader:
        response.response = [reader.read(_length(selection))]


def _wrapped(reader: BinaryIO, selection: Selection, size: int) -> IO[bytes]:
    """What the server sends on by ``sendfile(2)`` if it can (PEP 3333, wsgi.file_wrapper)."""
    part = reader if selection.stop == size else cast(BinaryIO, _Part(reader, _length(selection)))
    return cast(IO[bytes], wrap_file(current_request().environ, part, _PIECE))


def _length(selection: Selection) -> int:
    return selection.stop - selection.start
