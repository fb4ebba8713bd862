"""The one table of the ways in which a request says what its content hashes to.

With a multipart body, ``Content-MD5`` and ``Content-Digest`` are about the whole body, for that is
the content of the message (RFC 9530, 2); all others are about the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import IO

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request

from httpbucket.domain import sent_digest
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import InvalidDigest
from httpbucket.domain.sent_digest import Digests

Parser = Callable[[str], Digests]

#: About the content of the message, whatever that is.
OF_CONTENT: dict[str, Parser] = {
    "Content-MD5": sent_digest.content_md5,
    "Content-Digest": sent_digest.digest_fields,
}

#: About the file, in multipart bodies too.
OF_FILE: dict[str, Parser] = {
    "Repr-Digest": sent_digest.digest_fields,
    "Digest": sent_digest.instance_digests,
    "X-Checksum-Md5": sent_digest.in_hex("md5"),
    "X-Checksum-Sha1": sent_digest.in_hex("sha1"),
    "X-Checksum-Sha256": sent_digest.in_hex("sha256"),
    "X-Checksum-Sha512": sent_digest.in_hex("sha512"),
}


# In a WSGI environment. Most clients say nothing, which is seen at once.
_KEYS = frozenset(f"HTTP_{name.upper().replace('-', '_')}" for name in (*OF_CONTENT, *OF_FILE))


def digests_in_head(request: Request, *, is_raw: bool = False) -> Digests:
    """What headers and query say of the file: known before its first byte is read.

    ``is_raw`` when the body is no form, whatever its type says. Raises `InvalidDigest`.
    """
    if _KEYS.isdisjoint(request.environ) and not request.query_string:
        return ()
    is_form = request.mimetype == "multipart/form-data" and not is_raw
    table = OF_FILE if is_form else OF_CONTENT | OF_FILE
    named = (sent_digest.named_digest(text) for text in request.args.getlist("digest"))
    every = (*_read(table, request.headers), *named)
    return sent_digest.distinct(digest for digests in every for digest in digests)


def digests_of_body(headers: Headers) -> Digests:
    """What headers say of a multipart body as a whole. Raises `InvalidDigest`."""
    every = _read(OF_CONTENT, headers)
    return sent_digest.distinct(digest for digests in every for digest in digests)


def digests_of_whole(request: Request) -> Digests:
    """What the request that begins an upload says of all its pieces. Raises `InvalidDigest`."""
    named = (sent_digest.named_digest(text) for text in request.args.getlist("digest"))
    every = (*_read(OF_FILE, request.headers), *named)
    return sent_digest.distinct(digest for digests in every for digest in digests)


def digests_of_part(headers: Headers) -> Digests:
    """What the headers of one part of a form say of the file in it. Raises `InvalidDigest`."""
    every = _read(OF_CONTENT | OF_FILE, headers)
    return sent_digest.distinct(digest for digests in every for digest in digests)


def _read(table: dict[str, Parser], headers: Headers) -> list[Digests]:
    for name in table:
        if not headers.get(name, "-").strip():
            # A shell variable that was not set, say: what was to be checked must be checked.
            raise InvalidDigest(f"{name} is empty; expected a digest.")
    return [parse(headers[name]) for name, parse in table.items() if name in headers]


class CheckedStream:
    """A body that is hashed while it is read; ``what`` it is called in a refusal."""

    def __init__(self, stream: IO[bytes], expected: Sequence[Digest], *, what: str) -> None:
        self._stream = stream
        self._what = what
        self._expected = expected
        algorithms = {digest.algorithm for digest in expected}
        self._hashers = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}

    def read(self, size: int = -1) -> bytes:
        """The next bytes, as the stream gives them."""
        piece = self._stream.read(size)
        for hasher in self._hashers.values():
            hasher.update(piece)
        return piece

    def verify(self) -> None:
        """To be called at the end. Raises `DigestMismatch`."""
        for expected in self._expected:
            actual = Digest(expected.algorithm, self._hashers[expected.algorithm].hexdigest())
            sent_digest.require_equal(expected, actual, what=self._what)
