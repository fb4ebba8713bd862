"""Multipart bodies (RFC 7578) of many parts: each file is put aside as soon as it came whole.

Werkzeug's decoder cuts the parts. Its own loop around that keeps 2 KB of headers for each file and
all of the text fields in memory, however many these are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from werkzeug.datastructures import Headers, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
    State,
)

from httpbucket.services.receive import LARGE_BYTES, Act, Content, IncomingFile

_PIECE = 64 * 1024
#: A piece of a large body: the same work for four times as much.
_LARGE_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of a form, its name as the client gave it, and what else its part says."""

    content: Content
    filename: str | None
    headers: Headers

    def close(self) -> None:
        """Nothing, though Werkzeug asks for it: the act's end is the file's."""


@dataclass
class _Parts:
    """The parts as they come: files to the act, text fields to memory, within a bound."""

    act: Act
    most_text_bytes: int
    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, FilePart]] = field(default_factory=list)
    _now: Field | File | None = None
    _text: bytearray = field(default_factory=bytearray)
    _text_bytes: int = 0
    _incoming: IncomingFile | None = None

    def take(self, event: Event) -> None:
        """The next event of the decoder."""
        if isinstance(event, File):
            self._now, self._incoming = event, self.act.new_file()
        elif isinstance(event, Field):
            self._now, self._text = event, bytearray()
        elif isinstance(event, Data):
            if event.data:
                self._write(event.data)
            if not event.more_data:
                self._end()

    def _write(self, piece: bytes) -> None:
        if isinstance(self._now, File):
            assert self._incoming is not None
            self._incoming.write(piece)
            return
        self._text_bytes += len(piece)
        if self._text_bytes > self.most_text_bytes:
            raise RequestEntityTooLarge
        self._text += piece

    def _end(self) -> None:
        now = self._now
        # A part may lack a name; then Werkzeug says None.
        if isinstance(now, File):
            assert self._incoming is not None
            content = self.act.put_aside(self._incoming)
            part = FilePart(content, now.filename, _worth_keeping(now.headers))
            self.files.append((now.name or "", part))
        elif isinstance(now, Field):
            self.fields.append((now.name or "", self._text.decode(errors="replace")))


_WITHOUT_MORE = Headers()


def _worth_keeping(headers: Headers) -> Headers:
    """What every part has takes 1 KB each; digests and the like are rare."""
    if set(headers.keys()) <= {"Content-Disposition", "Content-Type"}:
        return _WITHOUT_MORE
    return headers


class ActFormParser(FormDataParser):
    """Reads a form into an act. Raises ValueError for a body that breaks off.

    Text fields may together take what Werkzeug allows each.
    """

    def __init__(self, act: Act, **options: Any) -> None:
        super().__init__(silent=False, **options)
        self._act = act

    def _parse_multipart(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str],
    ) -> Any:
        boundary = options.get("boundary", "").encode("ascii")
        if not boundary:
            raise ValueError("Missing boundary")
        decoder = MultipartDecoder(
            boundary, max_form_memory_size=self.max_form_memory_size, max_parts=self.max_form_parts
        )
        parts = _Parts(self._act, self.max_form_memory_size or 0)
        is_large = (content_length or 0) >= LARGE_BYTES
        for event in events(decoder, stream.read, _LARGE_PIECE if is_large else _PIECE):
            parts.take(event)
            # Its bytes are not to be held while the next ones are waited for.
            del event
        return stream, self.cls(parts.fields), MultiDict(parts.files)


def events(
    decoder: MultipartDecoder, read: Callable[[int], bytes], size: int = _PIECE
) -> Iterator[Event]:
    """What ``decoder`` makes of a body, until its end. Raises ValueError if that is missing.

    The decoder copies what it is given four times, and looks for a boundary at 20 ns a byte. So
    what is a part's for certain passes it by: the decoder gets the last bytes, which may begin a
    boundary.
    """
    is_end = False
    while not is_end:
        piece = read(size)
        is_end = not piece
        if piece and decoder.state is State.DATA:
            piece = bytes(decoder.buffer) + piece
            decoder.buffer.clear()
            if (end := _end_of_data(piece, decoder.boundary)) > 0:
                yield Data(piece[:end], more_data=True)
                piece = piece[end:]
        decoder.receive_data(None if is_end else piece)
        event = decoder.next_event()
        while not isinstance(event, Epilogue | NeedData):
            yield event
            if decoder.state is State.DATA_START and (content := _small_content(decoder)):
                yield Data(content, more_data=True)
            event = decoder.next_event()


def _small_content(decoder: MultipartDecoder) -> bytes:
    """Take a part's content, if all of it is there, out of the buffer, but for its line breaks."""
    buffer = decoder.buffer
    start = len(b"\r\n") if buffer.startswith(b"\r\n") else len(b"\n")
    end = buffer.find(b"--" + decoder.boundary) - len(b"\r\n")
    if end <= start:
        return b""
    content = bytes(buffer[start:end])
    del buffer[start:end]
    return content


def _end_of_data(piece: bytes, boundary: bytes) -> int:
    """How much of it is a part's for certain: up to a line that may become a boundary's."""
    found = piece.find(b"--" + boundary)
    if found >= 0:
        return max(0, found - len(b"\r\n"))
    last = max(0, len(piece) - len(b"\r\n--" + boundary))
    line_breaks = (piece.find(line_break, last) for line_break in (b"\r", b"\n"))
    return min((found for found in line_breaks if found >= 0), default=len(piece))
