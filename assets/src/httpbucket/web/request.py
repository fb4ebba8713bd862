"""Requests whose files go straight to staging, and whose mistakes are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import IO, Protocol, cast
from urllib.parse import quote

from flask import Request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadHost, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import (
    MalformedBody,
    MissingFile,
    UnsupportedCoding,
)
from httpbucket.domain.origin import authority
from httpbucket.services.receive import LARGE_BYTES, Act
from httpbucket.services.replicate import META_PREFIX
from httpbucket.web.answer_form import AnswerForm, prefers_html
from httpbucket.web.multipart import ActFormParser, FilePart
from httpbucket.web.sent_digests import CheckedStream, digests_in_head, digests_of_body

#: Boundaries, part headers and text fields around the file bytes of a multipart body.
FRAMING_ALLOWANCE = 1024**2
#: The same of a tree's parts, which are many.
TREE_FRAMING_ALLOWANCE = 64 * 1024**2

#: The field, header or parameter that makes the files of one request a tree of this name.
TREE = "Tree"

#: Under this key the server puts a function into the WSGI environment that knows.
CLIENT_GONE = "httpbucket.client_gone"

#: Under this key the server puts a function that makes the body end soon, for another thread.
HANG_UP = "httpbucket.hang_up"

#: So much of a body is read at once.
PIECE_BYTES = 256 * 1024

#: How the keys of ``Meta-`` headers begin in a WSGI environment.
_META_KEY = f"HTTP_{META_PREFIX.upper().replace('-', '_')}"

_HOW_TO_SEND = "send it for example with curl -F file=@results.xml"


class BucketRequest(Request):
    """Parses multipart bodies (RFC 7578) into the files of the act under way."""

    act: Act | None = None
    #: Where the operator says that the server is reached.
    public_url = ""
    #: Whether it came to the origin of contents, which has no pages.
    is_for_contents = False
    #: Whether the body is a file's bytes: then there are no fields, whatever its type says.
    is_raw = False
    #: Why the host that it names is none; Werkzeug finds that out while it looks for a route.
    bad_host: BadHost | None = None
    _checked: CheckedStream | None = None

    @property
    def prefers_html(self) -> bool:
        """Whether a browser asks for what can be a page: curl accepts everything alike."""
        if self.is_for_contents:
            return False
        return prefers_html(self.headers.get("Accept", ""))

    @property
    def is_multipart(self) -> bool:
        """Whether the body is a form with files (RFC 7578)."""
        return self.mimetype == "multipart/form-data"

    @property
    def has_body(self) -> bool:
        """Whether something follows the headers (RFC 9112, 6.3)."""
        return bool(self.content_length or self.headers.get("Transfer-Encoding"))

    def pieces(
        self, size: int = PIECE_BYTES, *, expected: Sequence[Digest] = ()
    ) -> Iterator[bytes]:
        """The body itself, as it comes; it ends where its length says, as the server sees to.

        Raises `DigestMismatch` at its end unless it has each of the ``expected`` digests.
        """
        stream = CheckedStream(self.stream, expected, what="body")
        while piece := stream.read(size):
            yield piece
        stream.verify()

    def content(self, spare: Callable[[], memoryview | None]) -> Iterator[bytes | memoryview]:
        """As `pieces`; a large body comes in ``spare`` memory, as far as there is any."""
        is_large = (self.content_length or 0) >= LARGE_BYTES
        while piece := _next_piece(self.stream, spare() if is_large else None):
            yield piece
            # Who got it may be done with it before the next one came.
            del piece

    @property
    def want_form_data_parsed(self) -> bool:
        """Whether fields are looked for in the body."""
        return super().want_form_data_parsed and not self.is_raw

    def address_of(self, path: str) -> str:
        """The address of a path, relative to the store, as clients reach it."""
        return f"{self.base}/{quote(path)}"

    @property
    def base(self) -> str:
        """Where our addresses begin: with ``PUBLIC_URL``, or where this request came."""
        return self.public_url or f"{self.scheme}://{self._host_shown}{quote(self.script_root)}"

    @property
    def _host_shown(self) -> str:
        """The host for people to copy, also with ``_``, which Werkzeug does not take."""
        claimed = self.headers.get("Host", "")
        return self.host or (claimed if authority(claimed) else "localhost")

    def is_client_gone(self) -> bool:
        """Whether the client has closed the connection; unknown outside of our server."""
        return bool(self.environ.get(CLIENT_GONE, bool)())

    @property
    def hang_up(self) -> Callable[[], None]:
        """Makes reading the body end soon, when called from another thread."""
        return cast(Callable[[], None], self.environ.get(HANG_UP, lambda: None))

    def parameter(self, name: str) -> str:
        """What the client says of how to treat its file: as a header, in the query, in a field."""
        return self._said(name, self.args, self.form)

    def parameters(self, name: str) -> list[str]:
        """The same, where it is said several times: every value, in the order of `parameter`."""
        values = chain(_values(self.args, name), _values(self.form, name))
        said = (_as_utf8(self.headers.get(name, "")), *values)
        return list(dict.fromkeys(value for value in said if value.strip()))

    def option(self, name: str) -> str:
        """What the query says under this name, or else a form field."""
        return next(chain(_values(self.args, name), _values(self.form, name)), "")

    def chosen(self, names: Iterable[str]) -> dict[str, str]:
        """What the client says of its content under these names, and in ``Meta-`` headers.

        Headers win over form fields, and those over the query.
        """
        meta = (_header_of(key) for key in self.environ if key.startswith(_META_KEY))
        said = {name: self._said(name, self.form, self.args) for name in (*names, *meta)}
        return {name: value for name, value in said.items() if value}

    def _said(self, name: str, *others: MultiDict[str, str]) -> str:
        """The header of this name, else the first of ``others`` that has it, in either case.

        A value of nothing but spaces says nothing.
        """
        header = _as_utf8(self.headers.get(name, ""))
        if header.strip():
            return header
        values = (value for other in others if other for value in _values(other, name))
        return next((value for value in values if value.strip()), "")

    def files_in(self, field: str) -> list[FilePart]:
        """The files in ``field``, at least one, in the order in which they came.

        Raises `MissingFile` and `MalformedBody`.
        """
        files = cast(list[FilePart], self.files.getlist(field))
        if not files:
            fields = sorted({name[:80] for name in (*self.files, *self.form)})
            raise MissingFile(
                f"There is no file in the field {field!r}; {_HOW_TO_SEND}.", fields=fields[:20]
            )
        return files

    def _get_stream_for_parsing(self) -> IO[bytes]:
        stream = super()._get_stream_for_parsing()
        if expected := digests_of_body(self.headers):
            self._checked = CheckedStream(stream, expected, what="multipart body")
            return cast(IO[bytes], self._checked)
        return stream

    def make_form_data_parser(self) -> FormDataParser:
        """Reads a form's files into the act; without one there may be none."""
        if self.act is None:
            return super().make_form_data_parser()
        return ActFormParser(
            self.act,
            max_form_memory_size=self.max_form_memory_size,
            max_form_parts=self.max_form_parts,
        )

    def _get_file_stream(self, *_: object, **__: object) -> IO[bytes]:
        raise AssertionError("files are parsed within receiving()")

    def _load_form_data(self) -> None:
        try:
            super()._load_form_data()
            if self._checked is not None:
                self._checked.verify()
        except ValueError as error:
            raise MalformedBody(
                f"The multipart body breaks off or is malformed: {error}."
            ) from error
        except RequestEntityTooLarge as error:
            error.description = (
                f"The form has more than {self.max_form_parts} parts, or text fields of more "
                f"than {self.max_form_memory_size} bytes."
            )
            raise


def _next_piece(stream: IO[bytes], room: memoryview | None) -> bytes | memoryview:
    if room is None:
        return stream.read(PIECE_BYTES)
    count: int = stream.readinto(room)  # type: ignore[attr-defined]
    return room[:count].toreadonly()


def _header_of(key: str) -> str:
    """The header that has this key in a WSGI environment, in lower case."""
    return key.removeprefix("HTTP_").replace("_", "-").lower()


def _values(fields: MultiDict[str, str], name: str) -> Iterator[str]:
    # A part may lack a name; then Werkzeug says None.
    return (v for key, v in fields.items(multi=True) if (key or "").lower() == name.lower())


def _as_utf8(value: str) -> str:
    """A header's value as the UTF-8 that clients send; WSGI passes bytes on as Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def refuse_coded(request: BucketRequest) -> None:
    """Raises `UnsupportedCoding` for a body that would be stored as it stands (RFC 9110, 8.4)."""
    for header in ("Content-Encoding", "Transfer-Encoding"):
        coding = request.headers.get(header, "identity").strip().lower()
        if coding not in {"identity", "chunked", ""}:
            raise UnsupportedCoding(
                f"{header}: {coding[:80]} is not undone here; send the file as it is."
            )


class Receiver(Protocol):
    """Who begins acts: `Ingest`, or `ReceiveMembers`."""

    def begin(self) -> Act:
        """A new act of a client."""
        ...


@contextmanager
def receiving(request: BucketRequest, receiver: Receiver) -> Iterator[None]:
    """Receive the request's files; at the end those that were not kept are gone.

    Refuses what can be refused before the body is read: a coding, a length over the limit, a
    malformed digest, an answer in a form that there is not.
    """
    refuse_coded(request)
    AnswerForm.wished(request)
    expected = digests_in_head(request, is_raw=request.is_raw)
    request.act = act = receiver.begin()
    act.compute(digest.algorithm for digest in expected)
    try:
        is_tree = TREE in request.headers or TREE in request.args
        allowance = TREE_FRAMING_ALLOWANCE if is_tree else FRAMING_ALLOWANCE
        act.expect((request.content_length or 0) - allowance)
        act.reserve(request.content_length or 0)
        yield
    finally:
        act.close()
